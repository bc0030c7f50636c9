//! A network between a client and an endpoint that can be cut at a certain byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_linger;

/// Which way the bytes go that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    There,
    /// From the endpoint.
    Back,
}

/// What a cut network looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides are told that the connection is no more (a firewall that was restarted).
    Reset,
    /// Both sides see the other one's end of transmission.
    Closed,
    /// Nobody hears anything any more (a cable).
    Silent,
}

/// A cut.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Which way is counted.
    pub way: Way,
    /// So many bytes come through, that way.
    pub after: usize,
    /// And then.
    pub end: End,
}

#[derive(Debug, Default)]
struct Plan {
    cut: Mutex<Option<Cut>>,
    /// Whether it was cut.
    done: AtomicBool,
    counts: [AtomicUsize; 2],
    over: AtomicBool,
}

/// A relay on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    plan: Arc<Plan>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens at an address of the endpoint's machine.
    pub fn start(endpoint: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((endpoint.ip(), 0)).context("cannot listen")?;
        let address = listener.local_addr()?;
        let plan = Arc::new(Plan::default());
        let shared = Arc::clone(&plan);
        let thread = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(endpoint) else { continue };
                carry(&shared, &client, &server);
            }
        });
        Ok(Self { address, plan, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the next connection that comes so far; none: cuts nothing. Counting begins anew.
    pub fn cut(&self, cut: Option<Cut>) {
        *self.plan.cut.lock().unwrap_or_else(PoisonError::into_inner) = cut;
        self.plan.done.store(false, Ordering::SeqCst);
        for count in &self.plan.counts {
            count.store(0, Ordering::SeqCst);
        }
    }

    /// Whether it was cut since it was told to.
    pub fn was_cut(&self) -> bool {
        self.plan.done.load(Ordering::SeqCst)
    }

    /// How many bytes went this way since [`Relay::cut`].
    pub fn count(&self, way: Way) -> usize {
        self.plan.counts[way as usize].load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.plan.over.store(true, Ordering::Relaxed);
        // One last connection, so that the thread looks.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Carries both ways, each in a thread that ends with its connection.
fn carry(plan: &Arc<Plan>, client: &TcpStream, server: &TcpStream) {
    for (way, from, to) in [(Way::There, client, server), (Way::Back, server, client)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let plan = Arc::clone(plan);
        // What cannot be carried on ends the connection, as in life.
        let _ = to.set_nodelay(true);
        thread::spawn(move || {
            let _ = carry_one_way(&plan, way, from, to);
        });
    }
}

fn carry_one_way(plan: &Plan, way: Way, mut from: TcpStream, mut to: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        let before = plan.counts[way as usize].fetch_add(read, Ordering::SeqCst);
        let due = {
            let mut cut = plan.cut.lock().unwrap_or_else(PoisonError::into_inner);
            cut.take_if(|cut| cut.way == way && (read > 0) && before + read >= cut.after)
        };
        let Some(cut) = due else {
            if read == 0 {
                return to.shutdown(Shutdown::Write);
            }
            to.write_all(&buffer[..read])?;
            continue;
        };
        to.write_all(&buffer[..cut.after - before.min(cut.after)])?;
        plan.done.store(true, Ordering::SeqCst);
        match cut.end {
            End::Reset => {
                for side in [&from, &to] {
                    set_socket_linger(side, Some(Duration::ZERO))?;
                }
                return break_off(&from, &to);
            }
            End::Closed => return break_off(&from, &to),
            // Held open, until the test is over or who waits has given up.
            End::Silent => {
                while !plan.over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(100));
                }
                return Ok(());
            }
        }
    }
}

fn break_off(from: &TcpStream, to: &TcpStream) -> std::io::Result<()> {
    from.shutdown(Shutdown::Both)?;
    to.shutdown(Shutdown::Both)
}
