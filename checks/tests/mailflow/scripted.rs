//! Servers that say what a test wants.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers a line that a client says; nothing ends the connection.
pub type Answer = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// Greets, and answers each line, to whoever connects.
pub fn serve(
    greeting: Vec<u8>,
    answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer: Arc<Answer> = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, greeting, answer) = (stream.unwrap(), greeting.clone(), Arc::clone(&answer));
            // Who hung up has had enough.
            thread::spawn(move || speak(stream, &greeting, &*answer));
        }
    });
    address
}

fn speak(mut stream: TcpStream, greeting: &[u8], answer: &Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    stream.write_all(greeting)?;
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let Some(said) = answer(line.trim_end()) else { break };
        stream.write_all(&said)?;
        line.clear();
    }
    Ok(())
}

/// An SMTP server that takes every mail, and keeps them.
pub fn mail_taker() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&mails);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, taken) = (stream.unwrap(), Arc::clone(&taken));
            thread::spawn(move || take(stream, &taken));
        }
    });
    (address, mails)
}

fn take(mut stream: TcpStream, taken: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 taker\r\n")?;
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let said = match line.split(' ').next().unwrap_or_default().trim_end() {
            "EHLO" => "250-taker\r\n250 8BITMIME\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if lines.read_line(&mut mail)? == 0 {
                        return Ok(());
                    }
                }
                taken.lock().unwrap().push(mail);
                "250 taken\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        stream.write_all(said.as_bytes())?;
        line.clear();
    }
    Ok(())
}
