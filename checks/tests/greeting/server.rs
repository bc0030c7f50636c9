//! Servers that do what they are told to, step by step, each on a port of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// One thing that a server does.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Say(&'static [u8]),
    /// The same, a packet for each byte.
    Spell(&'static [u8]),
    /// Waits for a line that begins so.
    Hear(&'static str),
    /// A byte every tenth of a second, without end.
    Drip,
    /// These bytes again and again, a gigabyte of them.
    Flood(&'static [u8]),
    /// Nothing any more, and the connection stays.
    Stall,
}

use Step::{Drip, Flood, Hear, Say, Spell, Stall};

/// Plays the steps to whoever connects, and closes.
pub fn serve(steps: &[Step]) -> u16 {
    serve_on([127, 0, 0, 1].into(), steps)
}

pub fn serve_on(address: IpAddr, steps: &[Step]) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let steps = steps.to_vec();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, steps) = (stream.unwrap(), steps.clone());
            // Who hung up has had enough.
            thread::spawn(move || play(stream, &steps));
        }
    });
    port
}

fn play(stream: TcpStream, steps: &[Step]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut heard = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    for step in steps {
        match *step {
            Say(bytes) => stream.write_all(bytes)?,
            Spell(bytes) => {
                for byte in bytes {
                    stream.write_all(&[*byte])?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Hear(start) => {
                let mut line = String::new();
                heard.read_line(&mut line)?;
                assert!(line.starts_with(start) && line.ends_with("\r\n"), "{line:?}, not {start:?}");
            }
            Drip => loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(100));
            },
            Flood(bytes) => {
                let block = bytes.repeat((1 << 16) / bytes.len());
                for _ in 0..(1 << 30) / block.len() {
                    stream.write_all(&block)?;
                }
            }
            // Until the other side goes.
            Stall => drop(heard.read_to_end(&mut Vec::new())?),
        }
    }
    Ok(())
}
