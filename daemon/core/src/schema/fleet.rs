//! The keys of a fleet.

use super::calls::CONDITION;
use super::{ALLOW, Field, Type};

static TEXT: Type = Type::Text;
static URL: Type = Type::Url;
static SOCKET: Type = Type::Socket;
static NETWORK: Type = Type::Network;
static VALUES: Type = Type::OneOrMany(&TEXT);
static TEXTS: Type = Type::List(&TEXT);
static CONDITIONS: Type = Type::List(&CONDITION);
static SERVICE_NAME: Type = Type::Service;
static RESOURCE_NAME: Type = Type::Name;
static SITE_NAME: Type = Type::Site;
static SPAN: Type = Type::Span;
static FORM: Type = Type::Choice(&["active", "standby"]);

/// What of a service stands in a site.
static PLACEMENT: Type = Type::Brief(
    &FORM,
    &Type::Object(&[
        Field::required("form", FORM, "`active` serves now, `standby` could"),
        Field::default(
            "share",
            Type::Number(0, 100),
            "100",
            "percent of the service that this place can carry or, of data, holds",
        ),
        Field::default("copies", Type::Number(1, 1_000_000), "1", "how many instances stand there"),
    ]),
);

/// A site.
pub static SITE: Type = Type::Object(&[
    Field::required(
        "role",
        Type::Choice(&["active", "standby", "witness"]),
        "`active` carries load, `standby` is ready to, `witness` only votes",
    ),
    Field::optional("networks", Type::List(&NETWORK), "what stands in it, by address"),
    Field::optional("domains", Type::List(&TEXT), "what stands in it, by name"),
    Field::optional("power", Type::Text, "its power feed: sites that name the same one go dark together"),
    Field::optional("fire", Type::Text, "its fire compartment: sites that name the same one burn together"),
    Field::optional(
        "capacity",
        Type::Number(0, u64::MAX),
        "the load that it can carry, in one unit of your own for the whole fleet (servers, say)",
    ),
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
    Field::optional(
        "flaps",
        Type::Number(2, 1_000),
        "a site that goes down so often within `flaps_within` is locked until a person acknowledges it",
    ),
    Field::optional("flaps_within", Type::Span, "for how long a site that went down is counted for that"),
    Field::optional("election", Type::Span, "the election timeout that etcd is started with"),
    Field::optional("site_ttl", Type::Span, "of the lease of a site that has sentries, in whole seconds"),
    Field::optional(
        "isolate",
        Type::Span,
        "after this long without a confirmed renewal a sentry stops what writes on its host",
    ),
    Field::optional("margin", Type::Span, "beyond the end of a site's lease, until that proves a fence"),
];

/// A service.
pub static SERVICE: Type = Type::Object(&[
    Field::default("tier", Type::Number(0, 9), "1", "0 is what everything else needs"),
    Field::optional("owner", Type::Text, "who is called"),
    Field::default(
        "kind",
        Type::Choice(&["app", "data", "tooling", "traffic", "people"]),
        "app",
        "`app` serves customers, `data` keeps, `tooling` operates the others, `traffic` leads to them, \
         `people` is who works there",
    ),
    Field::optional(
        "resource",
        Type::OneOrMany(&RESOURCE_NAME),
        "the resources that it is; when absent, the one of its own name",
    ),
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
    Field::optional("wants", Type::List(&SERVICE_NAME), "services that it works better with"),
    Field::optional(
        "starts_with",
        Type::List(&SERVICE_NAME),
        "services that it cannot be started without, once it stands still everywhere",
    ),
    Field::optional("load", Type::Number(0, u64::MAX), "how much of the sites' capacity it takes"),
    Field::optional(
        "survives",
        Type::Number(1, 2),
        "how many sites, power feeds or fire compartments it claims to lose and go on in full, with all that \
         it needs",
    ),
    Field::optional(
        "replication",
        Type::Choice(&["sync", "async"]),
        "how changes reach its copies in other sites: before or after they are acknowledged",
    ),
]);

static SERVER: Type = Type::Object(&[
    Field::required("dsn", Type::Text, "libpq keywords and values, without the password"),
    Field::optional("password", Type::Secret, "its password"),
]);

static LOGIN: Type = Type::Object(&[
    Field::required(
        "address",
        Type::Address,
        "where its sshd listens; a name of the member's own ssh_config too",
    ),
    Field::required("user", Type::Text, "who logs in"),
    Field::required(
        "host_key",
        Type::OneOrMany(&TEXT),
        "its public key: the line of `/etc/ssh/ssh_host_ed25519_key.pub`. No other is believed",
    ),
    Field::optional(
        "key",
        Type::Secret,
        "the private key to log in with; when absent, the member's own keys or agent",
    ),
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
    Field::optional("ssh", Type::PerSite(&LOGIN), "a host per site, on which programs are run"),
]);

static FENCE: Type = Type::Object(&[Field::required(
    "power_off",
    Type::Object(&[Field::required("command", Type::List(&TEXT), "program and arguments")]),
    "a command that cuts the power and exits 0 only when it has seen it gone",
)]);

static LOCAL: Type = Type::Object(&[
    Field::required("run", Type::List(&TEXT), "program and arguments, on that host; no shell"),
    Field::required("timeout", Type::Span, "after this it is killed, and has failed"),
]);

static SENTRY: Type = Type::Object(&[
    Field::required("site", Type::Site, "where its host stands"),
    Field::required("guards", Type::List(&SERVICE_NAME), "the services that it stops"),
    Field::required(
        "on_isolation",
        Type::List(&LOCAL),
        "run one after the other when the site's lease was not renewed in time; what is done already \
         must be done again without harm",
    ),
    Field::optional(
        "on_rejoin",
        Type::List(&LOCAL),
        "run when the lease is renewed again and the site is not fenced; likewise",
    ),
]);

static ON_LOSS: Type = Type::Object(&[
    Field::required("site", Type::Site, "the site that is lost"),
    Field::required("run", Type::Playbook, "what is run"),
    Field::required("to", Type::Site, "where its services go"),
]);

static READINESS: &[Field] = &[
    Field::default("every", Type::Span, "5m", "from one look of all members to the next"),
    Field::default("max_age", Type::Span, "15m", "for how long one counts"),
    Field::default("required", Type::Flag, "false", "nothing runs by itself without one that counts"),
];

static LIMITS: &[Field] = &[
    Field::optional(
        "min_serving",
        Type::Number(1, 128),
        "so many sites that carry load have to be well beside the one that is left",
    ),
    Field::optional("per_run", Type::Object(PER_RUN), "what one run may leave at most"),
    Field::optional("per_day", Type::Object(PER_DAY), "what the runs of a day may leave at most"),
];

static PER_RUN: &[Field] = &[
    Field::optional("services", Type::Number(0, u64::MAX), "services that serve in the site"),
    Field::optional("servers", Type::Number(0, 100), "their `copies`, in percent of all that serve"),
];

static PER_DAY: &[Field] = &[
    Field::optional("sites", Type::Number(0, u64::MAX), "sites"),
    Field::optional("services", Type::Number(0, u64::MAX), "services"),
    Field::optional("servers", Type::Number(0, 100), "their `copies`, in percent of all that serve"),
];

static FORBID: Type = Type::Variant(&[
    Field::optional(
        "active",
        Type::Object(&[
            Field::required("service", Type::Service, "which"),
            Field::required("in", Type::Site, "where it must not serve"),
        ]),
        "a service serves in a site",
    ),
    Field::optional("apart", Type::List(&SERVICE_NAME), "two of these serve in no site together"),
    Field::optional("together", Type::List(&SERVICE_NAME), "two of these serve in one site"),
]);

static OVERRIDES: &[Field] = &[
    Field::optional("role", Type::Role, "who may waive a limit, or a state that is forbidden; else nobody"),
    Field::default(
        "second_person",
        Type::Flag,
        "false",
        "a run for which anything is waived, and what is waived in a run, waits until another person has approved it",
    ),
];

static DAY: Type = Type::Choice(&crate::window::DAYS);

static WINDOW: Type = Type::Object(&[
    Field::optional("days", Type::List(&DAY), "the days on which it begins; else every day"),
    Field::required("from", Type::Text, "a time of day (`22:00`), or one with its date (`2027-01-01T00:00`)"),
    Field::required("until", Type::Text, "likewise; a time of day that is earlier is one of the next day"),
    Field::required("zone", Type::Text, "the time zone in which that is said: `Europe/Berlin`"),
]);

static SWITCH: Type = Type::Object(&[
    Field::required("means", Type::Text, "what it says when it is on"),
    Field::optional("services", Type::List(&SERVICE_NAME), "which are left alone while it is off; else all"),
]);

static HOME: Type = Type::Variant(&[
    Field::optional("service", Type::Service, "in a service, and wherever that runs"),
    Field::optional("host", Type::Text, "at this host, address or URL, and in whichever site that stands"),
    Field::optional("site", Type::OneOrMany(&SITE_NAME), "in any of these sites"),
    Field::optional("outside", Type::Text, "in none of the sites: with whom, or with what"),
]);
static HOMES: Type = Type::OneOrMany(&HOME);

static MEMBER: Type = Type::Object(&[
    Field::required("site", Type::Site, "where it runs"),
    Field::optional(
        "updates",
        Type::Text,
        "when its host is updated by itself, in your words: no two sites at the same time",
    ),
]);

/// What Standfast and its people stand on.
pub static CONTROL: &[Field] = &[
    Field::optional("voters", Type::Map(&SITE_NAME), "the voters of the coordination, each with its site"),
    Field::optional("members", Type::Map(&MEMBER), "the daemons"),
    Field::optional("incident_owner", Type::Role, "the one role that commands"),
    Field::optional("identity", HOMES, "what approvers need to be let in"),
    Field::optional("channels", HOMES, "how people are reached, approvers too"),
    Field::optional("alerting", HOMES, "what sees a loss and calls people"),
    Field::optional("status_page", HOMES, "where customers read what happens"),
    Field::optional("name_servers", HOMES, "who answers for the names of the business"),
    Field::optional("registries", HOMES, "where artefacts and images come from"),
    Field::optional("mail", HOMES, "who takes mail in"),
];

static EVIDENCE: Type = Type::Object(&[
    Field::required(
        "kind",
        Type::Choice(&["drill", "run", "simulation"]),
        "`drill`: done on purpose, `run`: done in need, `simulation`: done in a model",
    ),
    Field::default(
        "scope",
        Type::Choice(&["site", "services", "load"]),
        "services",
        "`site`: a whole site was left, `services`: some were moved, `load`: load was put on, nothing moved",
    ),
    Field::optional("site", Type::Site, "the site that was left"),
    Field::optional("playbook", Type::Playbook, "what was run"),
    Field::required("date", Type::Date, "when"),
    Field::required("result", Type::Choice(&["passed", "failed"]), "whether it did what it should"),
    Field::optional(
        "took",
        Type::PerService(&SPAN),
        "how long each service was away; of a simulation the 95th percentile",
    ),
]);

static OUTSIDE: &[Field] = &[
    Field::optional("networks", Type::List(&NETWORK), "by address"),
    Field::optional("domains", Type::List(&TEXT), "by name"),
];

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
    Field::optional(
        "sentries",
        Type::Map(&SENTRY),
        "processes on data hosts that stop what writes there when their site is cut off, by the names in \
         their certificates",
    ),
    ALLOW,
    Field::optional("on_loss", Type::List(&ON_LOSS), "exactly one per site with active services"),
    Field::optional("readiness", Type::Object(READINESS), "how often it is looked whether that could run"),
    Field::optional("limits", Type::Object(LIMITS), "how much a run may touch, whoever starts it"),
    Field::optional("forbid", Type::List(&FORBID), "states that no run may end in, whoever starts it"),
    Field::optional("overrides", Type::Object(OVERRIDES), "who may waive what for one run, by name"),
    Field::optional(
        "freeze_windows",
        Type::Map(&WINDOW),
        "when nothing runs by itself, nor is proposed; people start runs as ever",
    ),
    Field::optional(
        "switches",
        Type::Map(&SWITCH),
        "what people have to turn on before anything runs by itself; all are off at first",
    ),
    Field::default(
        "proof",
        Type::Choice(&["declared", "full"]),
        "declared",
        "`declared`: what is said here is proven. `full`: what is not said counts as failed",
    ),
    Field::optional("outside", Type::Object(OUTSIDE), "what stands in none of the sites: providers"),
    Field::optional(
        "secrets",
        Type::Map(&HOME),
        "where secrets live; one that is not named here lies in a file beside every member",
    ),
    Field::optional(
        "control",
        Type::Object(CONTROL),
        "what Standfast and its people stand on; of each any one is enough",
    ),
    Field::optional("evidence", Type::List(&EVIDENCE), "what shows that a plan works"),
    Field::default(
        "drill_max_age",
        Type::Span,
        "365d",
        "a site that was not left for longer is not rehearsed",
    ),
];
