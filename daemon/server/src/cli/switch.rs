//! `standfast switch`: what has to be on before anything runs by itself.

use clap::{Args, Subcommand};
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::{GetStatusRequest, SetSwitchRequest, Switch};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::output::{Output, Rows, Stream, Tone, plain};
use super::{human, request_id, uncertain};

/// `standfast switch ...`
#[derive(Debug, Subcommand)]
pub enum SwitchCommand {
    /// All switches of the fleet
    List,
    /// Turn one on: what it stands for is the case
    On(SwitchArgs),
    /// Turn one off: nothing that it is for runs by itself; a run is proposed
    Off(SwitchArgs),
}

/// A switch.
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// Its name in the fleet
    name: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Runs a command.
pub async fn run(command: SwitchCommand, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let (args, on) = match command {
        SwitchCommand::List => {
            let status = client
                .call(GetStatusRequest {}, |channel, request| async move {
                    ClusterClient::new(channel).get_status(request).await
                })
                .await?;
            output.data(&status.switches, |switches, out| table(switches, out))?;
            return Ok(Exit::Done);
        }
        SwitchCommand::On(args) => (args, true),
        SwitchCommand::Off(args) => (args, false),
    };
    let request_id = args.request_id.unwrap_or_else(request_id);
    let request =
        SetSwitchRequest { request_id: request_id.clone(), name: args.name, on, reason: args.reason };
    let answer = client
        .call(
            request,
            |channel, request| async move { ClusterClient::new(channel).set_switch(request).await },
        )
        .await
        .map_err(|failure| uncertain(failure, &request_id))?;
    output.data(&answer, |answer, out| table(&answer.switches, out))?;
    Ok(Exit::Done)
}

/// All switches for people.
pub fn table(switches: &[Switch], out: &mut Stream) -> Result<(), Failure> {
    let mut rows = Rows::new(out, &["SWITCH", "IS", "FOR", "MEANS", "BY", "SINCE", "REASON"]);
    for switch in switches {
        let is = if switch.on { (Tone::Good, "on") } else { (Tone::Busy, "OFF") };
        let services = if switch.services.is_empty() { "all".to_owned() } else { switch.services.join(", ") };
        rows.row([
            plain(switch.name.clone()),
            (is.0, is.1.to_owned()),
            plain(services),
            plain(switch.means.clone()),
            plain(human::or_dash(&switch.by)),
            plain(human::date(switch.since.as_ref())),
            plain(human::or_dash(&switch.reason)),
        ]);
    }
    rows.write(out)
}
