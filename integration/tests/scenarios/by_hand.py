"""Starts a run of the playbook `shop`, or only looks at what it would do.

Knows nothing of Standfast's messages: it asks the server for them (gRPC server reflection),
and only needs grpcio and protobuf. Prints the answer as JSON.
"""

import argparse
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format

try:  # protobuf 4.22 and later
    from google.protobuf.message_factory import GetMessageClass as message_class
except ImportError:
    from google.protobuf.message_factory import MessageFactory

    message_class = MessageFactory().GetPrototype

FIELD = descriptor_pb2.FieldDescriptorProto


def reflection_messages():
    """The few messages of grpc.reflection.v1 that are needed here."""
    file = descriptor_pb2.FileDescriptorProto(
        name="reflection.proto", package="grpc.reflection.v1", syntax="proto3"
    )

    def message(name, *fields):
        found = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            known = {"string": FIELD.TYPE_STRING, "bytes": FIELD.TYPE_BYTES}
            if kind in known:
                found.field.add(name=field, number=number, type=known[kind], label=label)
            else:
                found.field.add(
                    name=field, number=number, type=FIELD.TYPE_MESSAGE, label=label,
                    type_name=".grpc.reflection.v1." + kind,
                )

    one, many = FIELD.LABEL_OPTIONAL, FIELD.LABEL_REPEATED
    message(
        "ServerReflectionRequest",
        ("file_by_filename", 3, "string", one),
        ("file_containing_symbol", 4, "string", one),
    )
    message("FileDescriptorResponse", ("file_descriptor_proto", 1, "bytes", many))
    message("ErrorResponse", ("error_message", 2, "string", one))
    message(
        "ServerReflectionResponse",
        ("file_descriptor_response", 4, "FileDescriptorResponse", one),
        ("error_response", 7, "ErrorResponse", one),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return [
        message_class(pool.FindMessageTypeByName("grpc.reflection.v1.ServerReflection" + name))
        for name in ("Request", "Response")
    ]


def describe(channel, symbol):
    """Everything that the server's file with this symbol is made of, as a pool."""
    request, response = reflection_messages()
    ask = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    files = {}

    def fetch(question):
        answer = next(iter(ask(iter([question]), timeout=10)))
        if answer.error_response.error_message:
            sys.exit("reflection: " + answer.error_response.error_message)
        for encoded in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
            files[file.name] = file
        for name in [name for file in list(files.values()) for name in file.dependency]:
            if name not in files:
                fetch(request(file_by_filename=name))

    fetch(request(file_containing_symbol=symbol))
    pool = descriptor_pool.DescriptorPool()
    added = set()

    def add(name):
        if name not in added:
            added.add(name)
            for dependency in files[name].dependency:
                add(dependency)
            pool.Add(files[name])

    for name in list(files):
        add(name)
    return pool


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--mode", default="MODE_EMERGENCY")
    parser.add_argument("--reason", default="")
    parser.add_argument("--request-id", required=True)
    args = parser.parse_args()

    with grpc.insecure_channel(args.server) as channel:
        pool = describe(channel, "standfast.v1.Runs")
        method = pool.FindServiceByName("standfast.v1.Runs").FindMethodByName("CreateRun")
        request, response = message_class(method.input_type), message_class(method.output_type)
        call = channel.unary_unary(
            "/standfast.v1.Runs/CreateRun",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        wish = {
            "playbook": "shop", "from": "a", "to": "b", "mode": args.mode, "reason": args.reason,
            "request_id": args.request_id, "validate_only": args.dry_run,
        }
        answer = call(json_format.ParseDict(wish, request()), timeout=30)
    print(json_format.MessageToJson(answer, preserving_proto_field_name=True))


main()
