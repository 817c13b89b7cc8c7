//! Lets the right people in, and only reading through.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use standfast_core::ids::Identity;
use standfast_proto::reason;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const ROOT: u32 = 0;

/// Says no to everybody but this process's own user and root, and to everything but reading.
pub(super) async fn only(mut request: Request, next: Next) -> Response {
    let credentials = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    let uid = credentials.map(|credentials| credentials.uid());
    let own = rustix::process::geteuid().as_raw();
    let Some(uid) = uid.filter(|uid| [own, ROOT].contains(uid)) else {
        let message = format!("this socket answers its owner (user {own}) and root: not you");
        return refuse(&request, Code::Unauthenticated, reason::NO_CERTIFICATE, message);
    };
    if !reads(&request) {
        let what = request.uri().path().rsplit('/').next().unwrap_or_default();
        let message = format!(
            "{what} is no reading, and the socket of a member is for reading only: ask over `listen.grpc`, \
             with your certificate (--server HOST:PORT)"
        );
        return refuse(&request, Code::PermissionDenied, reason::NOT_ALLOWED, message);
    }
    // No certificate has such a name.
    request.extensions_mut().insert(Identity::new(format!("local:{uid}")));
    next.run(request).await
}

fn is_grpc(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}

fn reads(request: &Request) -> bool {
    match is_grpc(request) {
        true => is_reading(request.uri().path()),
        false => [Method::GET, Method::HEAD].contains(request.method()),
    }
}

/// Whether a call changes nothing, by its path: `/package.Service/Method`.
fn is_reading(path: &str) -> bool {
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return false };
    if service.starts_with("grpc.") {
        return true;
    }
    method == "WhyNot" || ["Get", "List", "Watch"].iter().any(|begin| method.starts_with(begin))
}

fn refuse(request: &Request, code: Code, reason: &str, message: String) -> Response {
    if is_grpc(request) {
        let details = ErrorDetails::with_error_info(reason, reason::DOMAIN, []);
        return Status::with_error_details(code, message, details).into_http();
    }
    (StatusCode::FORBIDDEN, format!("{message}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use std::collections::BTreeSet;

    /// Every call there is, held against a list: a new one has to be put into the one or the other.
    #[test]
    fn what_reads_is_known_of_every_call() {
        let all = prost_types::FileDescriptorSet::decode(standfast_proto::DESCRIPTORS).unwrap();
        let mut refused = BTreeSet::new();
        for file in all.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    if !is_reading(&path) {
                        refused.insert(format!("{}/{}", service.name(), method.name()));
                    }
                }
            }
        }
        let wanted = "Bundles/ApplyBundle Cluster/BumpEpoch Cluster/Freeze Cluster/SetSwitch Cluster/StepDown \
                      Cluster/Thaw Local/Heed Local/Merge Plans/CreatePlan Runs/AbortRun Runs/ApproveRun \
                      Runs/CreateRun Runs/PauseRun Runs/RejectRun Runs/ResumeRun Runs/RetryStep Runs/RollbackRun \
                      Runs/SkipStep Sentries/Beat Sentries/Promise Sites/AckSite Sites/MaintainSite \
                      Sites/RejoinSite Sites/ReleaseSite";
        assert_eq!(refused, wanted.split_whitespace().map(str::to_owned).collect());
        assert!(!is_reading("/") && !is_reading("") && !is_reading("/metrics"));
    }
}
