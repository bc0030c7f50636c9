//! Faults at every step: the programs killed, the disk full or broken, the network cut, the clock set, and what else
//! happens in the course of years.
//!
//! What must hold, whatever happens and at whatever moment: a registration that was acknowledged is never lost; what
//! Nagios would read verifies; and it recovers with nobody's hand but the next ordinary run. `docs/faults.md` has the table
//! of what was survived. Whenever something is tested, a part of the faults is tried, evenly spread; `make test-faults`
//! tries every one, and prints the rows of that table.

#[path = "faults/circumstances.rs"]
mod circumstances;
#[path = "faults/client.rs"]
mod client;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/peer.rs"]
mod peer;
#[path = "faults/publisher.rs"]
mod publisher;
#[path = "faults/receiver.rs"]
mod receiver;
#[path = "faults/relay.rs"]
mod relay;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/step.rs"]
mod step;
#[path = "faults/table.rs"]
mod table;

use anyhow::Result;
use monitoring_info::registration::Verb;

use self::publisher::What;
use self::relay::{End, Way};
use self::step::Fault;

#[test]
fn a_session_that_registers() -> Result<()> {
    Fault::ALL.into_iter().try_for_each(|fault| receiver::at_every_step_of(Verb::Register, fault, 5))
}

#[test]
fn a_session_that_enrols() -> Result<()> {
    Fault::ALL.into_iter().try_for_each(|fault| receiver::at_every_step_of(Verb::Enrol, fault, 5))
}

#[test]
fn a_session_that_takes_leave() -> Result<()> {
    Fault::ALL.into_iter().try_for_each(|fault| receiver::at_every_step_of(Verb::Deregister, fault, 5))
}

#[test]
fn the_first_publish_is_killed() -> Result<()> {
    publisher::at_every_step_of(What::First, Fault::Killed, 23)
}

#[test]
fn the_first_publish_finds_a_full_disk() -> Result<()> {
    publisher::at_every_step_of(What::First, Fault::Full, 29)
}

#[test]
fn the_first_publish_finds_a_broken_disk() -> Result<()> {
    publisher::at_every_step_of(What::First, Fault::Broken, 61)
}

#[test]
fn the_publish_of_a_change_is_killed() -> Result<()> {
    publisher::at_every_step_of(What::Change, Fault::Killed, 23)
}

#[test]
fn the_publish_of_a_change_finds_a_full_disk() -> Result<()> {
    publisher::at_every_step_of(What::Change, Fault::Full, 29)
}

#[test]
fn the_publish_of_a_change_finds_a_broken_disk() -> Result<()> {
    publisher::at_every_step_of(What::Change, Fault::Broken, 61)
}

#[test]
fn the_publish_of_a_removal_is_killed() -> Result<()> {
    publisher::at_every_step_of(What::Removal, Fault::Killed, 23)
}

#[test]
fn the_publish_of_a_removal_finds_a_full_disk() -> Result<()> {
    publisher::at_every_step_of(What::Removal, Fault::Full, 29)
}

#[test]
fn the_publish_of_a_removal_finds_a_broken_disk() -> Result<()> {
    publisher::at_every_step_of(What::Removal, Fault::Broken, 61)
}

#[test]
fn a_client_that_registers() -> Result<()> {
    Fault::ALL.into_iter().try_for_each(|fault| client::registering(fault, 17))
}

#[test]
fn a_client_that_enrols() -> Result<()> {
    Fault::ALL.into_iter().try_for_each(|fault| client::enrolling(fault, 17))
}

#[test]
fn a_connection_reset_after_what_the_client_has_said() -> Result<()> {
    network::at_every_byte(Way::There, End::Reset)
}

#[test]
fn a_connection_closed_after_what_the_client_has_said() -> Result<()> {
    network::at_every_byte(Way::There, End::Closed)
}

#[test]
fn a_connection_that_carries_nothing_after_what_the_client_has_said() -> Result<()> {
    network::falls_silent(Way::There)
}

#[test]
fn a_connection_reset_after_what_the_server_has_said() -> Result<()> {
    network::at_every_byte(Way::Back, End::Reset)
}

#[test]
fn a_connection_closed_after_what_the_server_has_said() -> Result<()> {
    network::at_every_byte(Way::Back, End::Closed)
}

#[test]
fn a_connection_that_carries_nothing_after_what_the_server_has_said() -> Result<()> {
    network::falls_silent(Way::Back)
}

#[test]
fn a_slow_disk() -> Result<()> {
    circumstances::slow_disk()
}

#[test]
fn a_clock_that_is_set() -> Result<()> {
    circumstances::clock()
}

#[test]
fn nagios_dies_while_it_reads() -> Result<()> {
    circumstances::nagios_dies()
}

#[test]
fn a_publish_that_dies_before_another_change() -> Result<()> {
    circumstances::publisher_dies()
}

#[test]
fn several_publishers() -> Result<()> {
    circumstances::publishers()
}

#[test]
fn several_clients_of_one_host() -> Result<()> {
    circumstances::clients()
}

#[test]
fn an_old_backup_of_the_server() -> Result<()> {
    circumstances::old_server()
}

#[test]
fn an_old_backup_of_a_host() -> Result<()> {
    circumstances::old_client()
}
