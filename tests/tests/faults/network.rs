//! A client whose connection is cut, after every byte that either side has sent.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::site::{Site, own_network};

use crate::client::Counter;
use crate::relay::{Cut, End, Relay, Way};
use crate::table::{everything, row, stride};

/// How many bytes are left out where not every one is tried. It divides no length of anything in SSH, so the bytes that
/// are tried fall anywhere into packets.
const STRIDE: usize = 211;

/// Cuts the network this way, after every byte.
pub fn at_every_byte(way: Way, end: End) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, mut counter, relay) = set_up(folder.path())?;
    let stride = stride(STRIDE);
    let mut count = 0;
    for after in (0..).step_by(stride) {
        if !cut(&site, &mut counter, &relay, Cut { way, after, end })? {
            break;
        }
        count += 1;
    }
    ensure!(count > 0, "the network was never cut");
    row("the network, while a client registers", name(way, end), count);
    Ok(())
}

/// The network falls silent, at a few moments: whoever waits then has to give up by himself.
pub fn falls_silent(way: Way) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, mut counter, relay) = set_up(folder.path())?;
    counter.change()?;
    relay.cut(None);
    counter.host.client(&site, &["register"]).expect(0)?;
    let length = relay.count(way);
    // One in the key exchange, and one in the document or its answer.
    let parts: &[usize] = if everything() { &[0, 10, 30, 50, 70, 90, 97] } else { &[85] };
    for part in parts {
        let after = length * part / 100;
        ensure!(cut(&site, &mut counter, &relay, Cut { way, after, end: End::Silent })?, "nothing was cut");
    }
    row("the network, while a client registers", name(way, End::Silent), parts.len());
    Ok(())
}

fn set_up(folder: &std::path::Path) -> Result<(Site, Counter, Relay)> {
    let mut site = Site::lay_out(folder, own_network())?;
    site.start_endpoint()?;
    let endpoint = site.endpoint()?;
    let (user, address) = endpoint.rsplit_once('@').context("an endpoint has a user")?;
    let relay = Relay::start(address.parse::<SocketAddr>()?)?;
    let counter = Counter::approved(&site, &format!("{user}@{}", relay.address()), 2)?;
    Ok((site, counter, relay))
}

/// Registers a change over a network that is cut; whether it was.
fn cut(site: &Site, counter: &mut Counter, relay: &Relay, cut: Cut) -> Result<bool> {
    counter.change()?;
    relay.cut(Some(cut));
    let said = counter.host.client(site, &["register"]).run()?;
    let was_cut = relay.was_cut();
    // What is on its way may still arrive.
    relay.cut(None);
    counter
        .recovers(site, said.status)
        .with_context(|| format!("{cut:?}; the client said: {}", said.text))?;
    Ok(was_cut)
}

fn name(way: Way, end: End) -> &'static str {
    match (way, end) {
        (Way::There, End::Reset) => "reset after a byte of the client's",
        (Way::There, End::Closed) => "closed after a byte of the client's",
        (Way::There, End::Silent) => "silent after a byte of the client's",
        (Way::Back, End::Reset) => "reset after a byte of the server's",
        (Way::Back, End::Closed) => "closed after a byte of the server's",
        (Way::Back, End::Silent) => "silent after a byte of the server's",
    }
}
