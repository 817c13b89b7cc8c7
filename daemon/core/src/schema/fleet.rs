//! The keys of a fleet.

use super::calls::CONDITION;
use super::{Field, Type};

static TEXT: Type = Type::Text;
static URL: Type = Type::Url;
static SOCKET: Type = Type::Socket;
static NETWORK: Type = Type::Network;
static VALUES: Type = Type::OneOrMany(&TEXT);
static TEXTS: Type = Type::List(&TEXT);
static CONDITIONS: Type = Type::List(&CONDITION);
static SERVICE_NAME: Type = Type::Service;
static PLACEMENT: Type = Type::Choice(&["active", "standby"]);

/// A site.
pub static SITE: Type = Type::Object(&[
    Field::required(
        "role",
        Type::Choice(&["active", "standby", "witness"]),
        "`active` carries load, `standby` is ready to, `witness` only votes",
    ),
    Field::optional("networks", Type::List(&NETWORK), "what stands in it, by address"),
    Field::optional("domains", Type::List(&TEXT), "what stands in it, by name"),
    Field::optional("power", Type::Text, "its power feed"),
]);

/// The windows.
pub static TIMING: &[Field] = &[
    Field::default(
        "profile",
        Type::Choice(&["default", "fast"]),
        "default",
        "the preset that the rest changes",
    ),
    Field::optional("interval", Type::Span, "from one probe round to the next"),
    Field::optional("timeout", Type::Span, "for one probe"),
    Field::optional("fall", Type::Number(1, 1_000), "bad rounds in a row until a member says DOWN"),
    Field::optional("rise", Type::Number(1, 1_000), "good rounds in a row until it takes DOWN back"),
    Field::optional("publish", Type::Span, "from one published observation to the next"),
    Field::optional("confirm", Type::Span, "how long a majority must say DOWN"),
    Field::optional("ttl", Type::Span, "of the leases of members and of the leader, in whole seconds"),
    Field::optional("renew", Type::Span, "from one renewal of the leadership to the next"),
    Field::optional(
        "validity",
        Type::Span,
        "after a renewal was sent, how long the leader may start effects",
    ),
    Field::optional("kill", Type::Span, "after a renewal was sent, when children of actions are killed"),
    Field::optional("freshness", Type::Span, "the oldest store transaction of an observer that counts"),
    Field::optional("sequence_stale", Type::Span, "an observer without a new number for this long is silent"),
    Field::optional("gap", Type::Span, "a timer gap above this means: step down, read everything again"),
    Field::optional("loop_lag", Type::Span, "an observer whose event loop lags more abstains"),
    Field::optional("hold_down", Type::Span, "after a run, until the next automatic one"),
    Field::optional("election", Type::Span, "the election timeout that etcd is started with"),
];

/// A service.
pub static SERVICE: Type = Type::Object(&[
    Field::default("tier", Type::Number(0, 9), "1", "0 is what everything else needs"),
    Field::optional("owner", Type::Text, "who is called"),
    Field::default("kind", Type::Choice(&["app", "data", "tooling"]), "app", "what it is"),
    Field::optional("resource", Type::Name, "the resource that it is, for data"),
    Field::optional(
        "objectives",
        Type::Object(&[
            Field::optional("rto", Type::Span, "the longest it may be away"),
            Field::optional("rpo", Type::Span, "the most that may be lost, in time of writes"),
        ]),
        "what was promised",
    ),
    Field::required("runs_in", Type::PerSite(&PLACEMENT), "where it runs, and where it could"),
    Field::optional("needs", Type::List(&SERVICE_NAME), "services that it cannot work without"),
]);

static SERVER: Type = Type::Object(&[
    Field::required("dsn", Type::Text, "libpq keywords and values, without the password"),
    Field::optional("password", Type::Secret, "its password"),
]);

/// A resource.
pub static RESOURCE: Type = Type::Variant(&[
    Field::optional("endpoint", Type::PerSite(&URL), "an HTTP service: its base URL per site"),
    Field::optional("postgres", Type::PerSite(&SERVER), "a PostgreSQL cluster: one server per site"),
    Field::optional(
        "route",
        Type::Object(&[
            Field::required("haproxy", Type::PerSite(&SOCKET), "the runtime API of each site's balancer"),
            Field::required("backend", Type::Text, "the backend whose servers are weighed"),
            Field::required("servers", Type::PerSite(&TEXT), "the server of each site in that backend"),
        ]),
        "a way for traffic: balancers, and one server per site behind each",
    ),
    Field::optional(
        "dns",
        Type::Object(&[
            Field::required("zone", Type::Text, "the zone"),
            Field::required("record", Type::Text, "the name in the zone; `@` is the zone itself"),
            Field::default("type", Type::Choice(&["A", "AAAA", "CNAME"]), "A", "the record type"),
            Field::default("ttl", Type::Span, "30s", "time to live, in whole seconds"),
            Field::required("server", Type::Address, "the primary name server"),
            Field::required("key", Type::Secret, "the TSIG key"),
            Field::required("values", Type::PerSite(&VALUES), "the record's values per site"),
        ]),
        "a DNS record",
    ),
]);

static FENCE: Type = Type::Object(&[Field::required(
    "power_off",
    Type::Object(&[Field::required("command", Type::List(&TEXT), "program and arguments")]),
    "a command that cuts the power and exits 0 only when it has seen it gone",
)]);

static ON_LOSS: Type = Type::Object(&[
    Field::required("site", Type::Site, "the site that is lost"),
    Field::required("run", Type::Playbook, "what is run"),
    Field::required("to", Type::Site, "where its services go"),
]);

/// A fleet.
pub static FLEET: &[Field] = &[
    Field::required("api", Type::Choice(&["standfast/v1"]), "the version of this format"),
    Field::required("fleet", Type::Name, "its name"),
    Field::required("sites", Type::Map(&SITE), "the failure domains"),
    Field::optional("timing", Type::Object(TIMING), "the windows, equal for all members"),
    Field::default(
        "automation",
        Type::Choice(&["off", "advise", "act"]),
        "advise",
        "what happens on a loss: nothing, a proposal, a run",
    ),
    Field::optional(
        "single_observer",
        Type::Choice(&["act"]),
        "one member's view suffices; for a daemon on one machine only",
    ),
    Field::default("lab", Type::Flag, "false", "a laboratory: `act` is allowed without an enforced fence"),
    Field::optional("roles", Type::Map(&TEXTS), "who is what, by the names in their certificates"),
    Field::optional(
        "canaries",
        Type::NoneOr(&CONDITIONS),
        "what an observer asks to know that it is not itself cut off; `none` gives that up",
    ),
    Field::optional("probes", Type::PerSite(&CONDITIONS), "what is asked of each site"),
    Field::optional("services", Type::Map(&SERVICE), "what the business runs"),
    Field::optional("resources", Type::Map(&RESOURCE), "what playbooks name"),
    Field::optional("fence", Type::PerSite(&FENCE), "how a site's loss of power is proven"),
    Field::optional("on_loss", Type::List(&ON_LOSS), "exactly one per site with active services"),
];
