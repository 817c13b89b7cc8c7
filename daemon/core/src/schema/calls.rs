//! The actions and the conditions.

use super::ResourceKind::{Dns, Endpoint, Postgres, Route, Ssh};
use super::{CallKind, Field, Spec, Type};
use crate::time::Span;

/// A condition without anything beside it.
pub static CONDITION: Type = Type::Call(CallKind::Condition, &[]);
/// An action without anything beside it.
pub static ACTION: Type = Type::Call(CallKind::Action, &[]);

static TEXT: Type = Type::Text;
static STATUS: Type = Type::Number(100, 599);
static PERCENT: Type = Type::Number(0, 100);
static TEXT_OR_SECRET: Type = Type::TextOrSecret;
static PROOF: Type = Type::Choice(&["site_lease_expired", "power_off", "writes_refused", "operator_word"]);

const ENDPOINT: Field = Field::required("endpoint", Type::Resource(Endpoint), "whose service");
const ROUTE: Field = Field::required("route", Type::Resource(Route), "which route");
const CLUSTER: Field = Field::required("cluster", Type::Resource(Postgres), "which cluster");
const AT: Field = Field::required("at", Type::Site, "in which site: `$from` or `$to`");
const TO: Field = Field::required("to", Type::Site, "to which site: `$to` or `$from`");
const LINGER: Field = Field::optional(
    "linger",
    Type::Span,
    "how long it may still take effect when its leader is lost: so long the next one waits before it acts \
     again; when absent, the step's timeout",
);
const ASKED_AT: Field = Field::in_playbook("at", Type::Site, "in which site: `$from` or `$to`");

/// What a step can do.
pub static ACTIONS: &[Spec] = &[
    Spec {
        name: "postgres.promote",
        doc: "Makes the standby of a cluster its primary. Needs a fence before it, and verification.",
        fields: &[CLUSTER, AT],
        one_of: &[],
        timeout: Span::secs(60),
        attempts: 3,
    },
    Spec {
        name: "traffic.drain",
        doc: "Takes the server of a site out of rotation, on the balancer of that site.",
        fields: &[ROUTE, AT],
        one_of: &[],
        timeout: Span::secs(10),
        attempts: 3,
    },
    Spec {
        name: "traffic.ready",
        doc: "Puts the server of a site back into rotation, on the balancer of that site.",
        fields: &[ROUTE, AT],
        one_of: &[],
        timeout: Span::secs(10),
        attempts: 3,
    },
    Spec {
        name: "traffic.shift",
        doc: "Gives weight to the server of a site, stage by stage, on the balancer of that site; the \
              others share the rest. Between two weights it holds, then asks the gates. Holds and gates are \
              added to the default timeout.",
        fields: &[
            ROUTE,
            TO,
            Field::default("weights", Type::List(&PERCENT), "[100]", "percent, growing; the last stays"),
            Field::default("hold", Type::Span, "0s", "pause between two weights"),
            Field::optional(
                "gates",
                Type::List(&CONDITION),
                "asked after each hold, at `$to`: if one does not hold, no further weight is set and the \
                 attempt fails. When absent, what `verify` asks, which alone judges the last weight",
            ),
        ],
        one_of: &[],
        timeout: Span::secs(30),
        attempts: 3,
    },
    Spec {
        name: "dns.set",
        doc: "Replaces a record by the values of a site, by RFC 2136, signed with TSIG. In the same message it \
              leaves the leader's epoch beside it, as TXT `_standfast.NAME`, which the key must be allowed to \
              write: the name server refuses whatever an earlier leader sends later.",
        fields: &[Field::required("record", Type::Resource(Dns), "which record"), TO],
        one_of: &[],
        timeout: Span::secs(10),
        attempts: 3,
    },
    Spec {
        name: "http.request",
        doc: "Sends one HTTP request to an endpoint of a site.",
        fields: &[
            ENDPOINT,
            AT,
            Field::default(
                "method",
                Type::Choice(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
                "POST",
                "the method",
            ),
            Field::default("path", Type::Path, "/", "appended to the endpoint's URL"),
            Field::optional("headers", Type::Map(&TEXT_OR_SECRET), "names and values"),
            Field::optional("body", Type::Text, "sent as it is"),
            Field::default(
                "status",
                Type::OneOrMany(&STATUS),
                "[200, 201, 202, 204]",
                "answers that count as done",
            ),
            Field::optional(
                "idempotent",
                Type::Flag,
                "whether it may be sent again; when absent, all but POST and PATCH may",
            ),
            LINGER,
        ],
        one_of: &[],
        timeout: Span::secs(30),
        attempts: 3,
    },
    Spec {
        name: "command.run",
        doc: "Runs a program on the acting member, without a shell.",
        fields: &[
            Field::required("command", Type::List(&TEXT), "program and arguments"),
            Field::optional("env", Type::Map(&TEXT_OR_SECRET), "environment on top of the attempt's own"),
            Field::default("idempotent", Type::Flag, "false", "whether it may be run again"),
            LINGER,
        ],
        one_of: &[],
        timeout: Span::secs(120),
        attempts: 3,
    },
    Spec {
        name: "ssh.run",
        doc: "Runs a program on a host of a site over ssh, without a shell, ended there when its time is over \
              whatever becomes of the connection. In its environment it finds the run, step, attempt, epoch, \
              idempotency key and deadline, as `STANDFAST_...`. The host keeps the highest epoch in \
              `~/.standfast` and refuses lower ones; it needs `flock` and GNU `timeout`.",
        fields: &[
            Field::required("on", Type::Resource(Ssh), "which host"),
            AT,
            Field::required("run", Type::List(&TEXT), "program and arguments"),
            Field::default("idempotent", Type::Flag, "false", "whether it may be run again"),
        ],
        one_of: &[],
        timeout: Span::secs(120),
        attempts: 3,
    },
    Spec {
        name: "postgres.run",
        doc: "Runs statements on the primary of a cluster, all of them in one transaction, once for each run \
              and step however often it is attempted. The same transaction compares and keeps the leader's \
              epoch, in the schema `standfast`, which is made if it is not there: an earlier leader is refused.",
        fields: &[
            CLUSTER,
            AT,
            Field::required(
                "sql",
                Type::OneOrMany(&TEXT),
                "one statement each; none that begins or ends a transaction, or cannot run in one",
            ),
        ],
        one_of: &[],
        timeout: Span::secs(30),
        attempts: 3,
    },
    Spec {
        name: "wait.until",
        doc: "Waits until all conditions hold in one round.",
        fields: &[Field::required("all", Type::List(&CONDITION), "the conditions")],
        one_of: &[],
        timeout: Span::secs(300),
        attempts: 1,
    },
    Spec {
        name: "approval.ask",
        doc: "Waits for people.",
        fields: &[
            Field::required("role", Type::Role, "who may approve"),
            Field::default("quorum", Type::Number(1, 100), "1", "how many of them"),
            Field::required("message", Type::Text, "what is asked"),
        ],
        one_of: &[],
        timeout: Span::secs(3_600),
        attempts: 1,
    },
    Spec {
        name: "fence.prove",
        doc: "Proves that a site cannot write any more. The proofs are tried in order; one is enough.",
        fields: &[
            Field::required("site", Type::Site, "the site: `$from`"),
            Field::required(
                "any_of",
                Type::List(&PROOF),
                "`site_lease_expired`: its lease ended and its hosts enforced that; `power_off`: the \
                 fleet's command for that site; `writes_refused`: the old primary itself says that it is \
                 read-only; `operator_word`: a person of `role` says so, by name",
            ),
            Field::optional("role", Type::Role, "who may give their word, for `operator_word`"),
        ],
        one_of: &[],
        timeout: Span::secs(60),
        attempts: 3,
    },
    Spec {
        name: "playbook.run",
        doc: "Stands for the steps of another playbook, for the same sites and mode. Its services, its \
              requirements and its `confirm` count here too. Beside it stand `id`, `needs` and `modes` only; \
              its step `x` is named `ID/x`.",
        fields: &[
            Field::required("playbook", Type::Playbook, "which"),
            Field::optional("inputs", Type::Map(&TEXT), "its inputs; those not given have its defaults"),
        ],
        one_of: &[],
        timeout: Span::ms(0),
        attempts: 1,
    },
];

/// What can be asked.
pub static CONDITIONS: &[Spec] = &[
    Spec {
        name: "http.get",
        doc: "A GET is answered with this status.",
        fields: &[
            Field::optional("endpoint", Type::Resource(Endpoint), "whose service"),
            Field::in_fleet("url", Type::Url, "instead of an endpoint"),
            ASKED_AT,
            Field::default("path", Type::Path, "/", "appended to the endpoint's URL"),
            Field::default("status", Type::Number(100, 599), "200", "the expected status"),
            Field::optional("body", Type::Text, "text that the answer must contain"),
            Field::optional("below", Type::Span, "the answer must be complete within this"),
        ],
        one_of: &["endpoint", "url"],
        timeout: Span::ms(0),
        attempts: 0,
    },
    Spec {
        name: "tcp.connect",
        doc: "A TCP connection opens.",
        fields: &[
            Field::optional("endpoint", Type::Resource(Endpoint), "whose host and port"),
            Field::in_fleet("address", Type::Address, "instead of an endpoint"),
            ASKED_AT,
        ],
        one_of: &["endpoint", "address"],
        timeout: Span::ms(0),
        attempts: 0,
    },
    Spec {
        name: "dns.answers",
        doc: "The record's name server answers with exactly the values of a site.",
        fields: &[
            Field::required("record", Type::Resource(Dns), "which record"),
            Field::required("is", Type::Site, "whose values: `$to` or `$from`"),
        ],
        one_of: &[],
        timeout: Span::ms(0),
        attempts: 0,
    },
    Spec {
        name: "postgres.role",
        doc: "The server of a site is a primary or a standby.",
        fields: &[
            CLUSTER,
            ASKED_AT,
            Field::required("is", Type::Choice(&["primary", "standby"]), "the expected role"),
        ],
        one_of: &[],
        timeout: Span::ms(0),
        attempts: 0,
    },
    Spec {
        name: "postgres.writable",
        doc: "The server of a site accepts writes.",
        fields: &[CLUSTER, ASKED_AT],
        one_of: &[],
        timeout: Span::ms(0),
        attempts: 0,
    },
    Spec {
        name: "postgres.lag",
        doc: "The replica in a site lacks little of what its primary had when it was last seen.",
        fields: &[
            CLUSTER,
            ASKED_AT,
            Field::optional("below", Type::Span, "less than this much time of writes"),
            Field::optional("below_bytes", Type::Number(1, u64::MAX), "fewer bytes of log than this"),
            Field::optional("is", Type::Number(0, 0), "nothing at all"),
        ],
        one_of: &["below", "below_bytes", "is"],
        timeout: Span::ms(0),
        attempts: 0,
    },
];

/// The table of a kind.
pub fn table(kind: CallKind) -> &'static [Spec] {
    match kind {
        CallKind::Action => ACTIONS,
        CallKind::Condition => CONDITIONS,
    }
}
