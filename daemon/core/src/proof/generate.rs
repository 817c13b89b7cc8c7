//! Fleets of any size, for measurements: clean, with dependencies as businesses have them. Most
//! of what a service needs stands where it stands itself, some of it is shared by all, and a
//! tenth of the services stand in one site only, where nothing that is moved needs them.

use crate::source::SourceFile;
use std::fmt::Write as _;

/// How large a bundle is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// At least 3.
    pub sites: usize,
    /// Over all sites.
    pub services: usize,
    /// Hard ones, of each service.
    pub needs: usize,
    /// One for each site, as far as they go.
    pub playbooks: usize,
    /// Of each playbook, at least 4.
    pub steps: usize,
}

impl Size {
    /// What the proof is measured at: 100 sites, 10,000 services, 50,000 dependencies and 100
    /// playbooks of 100 steps; `1 / divisor` of it. The length of a playbook stays.
    pub fn part(divisor: usize) -> Self {
        let sites = (100 / divisor).max(3);
        Self { sites, services: 10_000 / divisor, needs: 5, playbooks: sites, steps: 100 }
    }

    fn rows(self) -> usize {
        self.services.div_ceil(self.sites)
    }

    /// Services that stand in one site only: every tenth row but the first one.
    fn is_local(row: usize) -> bool {
        row % 10 == 9
    }

    /// The row of a service and its site.
    fn place(self, service: usize) -> (usize, usize) {
        (service / self.sites, service % self.sites)
    }

    /// What a service needs: one that is shared by all, and the ones before it where it stands.
    fn needs_of(self, service: usize) -> Vec<usize> {
        let (row, site) = self.place(service);
        if row == 0 {
            return Vec::new();
        }
        let shared = (service * 7 + 1) % self.sites;
        let before = (0..row).rev().filter(|row| !Self::is_local(*row)).map(|row| row * self.sites + site);
        let mut needs: Vec<usize> = std::iter::once(shared).chain(before).take(self.needs).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}

/// The fleet and its playbooks, each a file.
pub fn bundle(size: Size) -> Vec<SourceFile> {
    let playbooks = (0..size.playbooks.min(size.sites)).map(|site| {
        let name = format!("leave-{site}");
        SourceFile::new(format!("{name}.yaml"), playbook(size, site))
    });
    std::iter::once(SourceFile::new("fleet.yaml", fleet(size))).chain(playbooks).collect()
}

fn fleet(size: Size) -> String {
    let mut text =
        "api: standfast/v1\nfleet: large\ncanaries: none\nroles: {commander: [kim, lee]}\nsites:\n"
            .to_owned();
    for site in 0..size.sites {
        let [high, low] = [site / 250, site % 250];
        let _ = writeln!(
            text,
            "  s{site}: {{role: active, networks: [10.{high}.{low}.0/24], domains: [s{site}.example.net], \
             power: grid-{site}, fire: hall-{site}, capacity: 1000000}}"
        );
    }
    let next = |site: usize| (site + 1) % size.sites;
    text.push_str("services:\n");
    for service in 0..size.services {
        let (row, site) = size.place(service);
        let places = match Size::is_local(row) {
            true => format!("s{site}: active"),
            false => format!("s{site}: active, s{}: standby", next(site)),
        };
        let needs: Vec<_> = size.needs_of(service).iter().map(|need| format!("v{need}")).collect();
        let needs = if needs.is_empty() { String::new() } else { format!(", needs: [{}]", needs.join(", ")) };
        let tier = row * 4 / size.rows().max(1);
        let _ = writeln!(text, "  v{service}: {{tier: {tier}, load: 3, runs_in: {{{places}}}{needs}}}");
    }
    text.push_str("resources:\n");
    for service in 0..size.services {
        let (row, site) = size.place(service);
        if !Size::is_local(row) {
            let url = |site: usize| format!("s{site}: \"https://v{service}.s{site}.example.net\"");
            let _ = writeln!(text, "  v{service}: {{endpoint: {{{}, {}}}}}", url(site), url(next(site)));
        }
    }
    text.push_str("probes:\n");
    for site in 0..size.sites {
        let _ = writeln!(
            text,
            "  s{site}: [{{http.get: {{endpoint: v{site}}}}}, {{tcp.connect: {{endpoint: v{site}}}}}]"
        );
    }
    text.push_str("control:\n  voters: {x: s0, y: s1, z: s2}\n  members: {x: {site: s0}, y: {site: s1}, z: {site: s2}}\n");
    text.push_str("on_loss:\n");
    for site in 0..size.sites {
        let playbook = site % size.playbooks.clamp(1, size.sites);
        let _ = writeln!(text, "  - {{site: s{site}, run: leave-{playbook}, to: s{}}}", next(site));
    }
    text
}

/// Leaves one site: a fence, then every service in the order of its row.
fn playbook(size: Size, site: usize) -> String {
    let rows: Vec<usize> = (0..size.rows()).filter(|row| !Size::is_local(*row)).collect();
    let services: Vec<usize> =
        rows.iter().map(|row| row * size.sites + site).filter(|service| *service < size.services).collect();
    let last = services.last().copied().unwrap_or(site);
    let mut text = format!(
        "api: standfast/v1\nplaybook: leave-{site}\ntitle: Leave s{site}\nservices: [v{last}]\n\
         modes: [emergency]\nsteps:\n  - id: fenced\n    fence.prove: {{site: $from, any_of: [site_lease_expired]}}\n"
    );
    for step in 1..size.steps {
        let service = services[step * services.len() / size.steps];
        let _ = writeln!(
            text,
            "  - id: start-{step}\n    http.request: {{endpoint: v{service}, at: $to, method: PUT, path: /start/{step}}}\n    \
             verify: {{within: 10s, all: [{{http.get: {{endpoint: v{service}, at: $to}}}}]}}\n    undo: none"
        );
    }
    text
}
