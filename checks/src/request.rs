//! `check_request`: a web server answers a GET request with success.
//!
//! `check_http` of monitoring-plugins (2.3.3) cannot say what the format promises, so this is a probe of our own: left to itself it
//! calls a 4xx answer a WARNING; told what to expect (`-e`), it looks for that anywhere in the status line, so that
//! `HTTP/1.1 404 HTTP/1.1 200` is a success; and it repeats what the server says as it is, with the `|` that begins
//! performance data and the escapes of a terminal.
//!
//! The status decides; the body is not read. What a redirection points to may be on another host, so none is followed. The
//! certificate is not judged: that is the other probe of the definition, because expired and down are different things.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Instant;

use clap::Parser;
use monitoring_info::state::State;
use monitoring_info::value;

use crate::answer::Answer;
use crate::command_line::{self, Basics};
use crate::connection::{self, Connection, Endpoint, Error as ConnectionError, excerpt};
use crate::dialogue::Dialogue;
use crate::protocol::Error;
use crate::tls::{self, Context, Stream};

/// The most header fields of an answer that are read.
const FIELDS_MAX: usize = 200;
/// The most interim answers (RFC 9110, section 15.2) before the final one.
const INTERIM_MAX: usize = 10;

/// Check that a web server answers a request with success
///
/// Sends one GET request and reads the answer's status and header. OK where the status is 2xx, or 3xx, which is not followed;
/// everything else is CRITICAL. The certificate is not judged: `check_certificate` does that.
#[derive(Debug, Parser)]
#[command(name = "check_request", version)]
struct Arguments {
    /// The host to connect to: a name, of which every address is tried, or an address
    #[arg(short = 'H', long = "host", value_name = "HOST")]
    host: String,
    /// The port to connect to [default: 80; with --tls, 443]
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Expect TLS
    #[arg(long)]
    tls: bool,
    /// The name for the Host header and the TLS handshake (SNI) [default: HOST]
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    hostname: Option<String>,
    /// The path, and query, to request
    #[arg(long, value_name = "URI", default_value = "/", value_parser = uri)]
    uri: String,
    /// A redirection (3xx) is CRITICAL
    #[arg(long)]
    refuse_redirection: bool,
    #[command(flatten)]
    basics: Basics,
}

fn hostname(text: &str) -> Result<String, String> {
    sound(&value::NAME, text)
}

fn uri(text: &str) -> Result<String, String> {
    sound(&value::URI, text)
}

/// As a definition's value is judged: nothing of it can end a line.
fn sound(kind: &value::ValueKind, text: &str) -> Result<String, String> {
    (kind.parse)(text)
        .map(|value| value.to_string())
        .map_err(|invalid| format!("{}; {}", invalid.message, invalid.help))
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Response {
    /// Three digits (RFC 9110, section 15).
    status: u16,
    /// The status and its reason, for a person.
    said: String,
    /// Where a redirection points to.
    location: Option<String>,
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments))
}

fn answer(arguments: &Arguments) -> Answer {
    let begun = Instant::now();
    let response = match request(arguments) {
        Ok(response) => response,
        Err(error) => return Answer::because(error.state(), &error),
    };
    let (state, sentence) = judge(&response, arguments.refuse_redirection);
    Answer::new(state, &sentence)
        .with_performance(format!("time={:.6}s;;;0", begun.elapsed().as_secs_f64()))
        .with_detail(&format!("GET {} of {}", arguments.target(), arguments.authority()))
}

fn judge(response: &Response, refuse_redirection: bool) -> (State, String) {
    let said = excerpt(&response.said);
    let to = response.location.as_ref().map_or_else(String::new, |to| format!(" to {}", excerpt(to)));
    match response.status {
        200..300 => (State::Ok, said),
        300..400 if refuse_redirection => {
            (State::Critical, format!("{said}{to}: a redirection is no success here"))
        }
        300..400 => (State::Ok, format!("{said}{to}, not followed")),
        _ => (State::Critical, said),
    }
}

fn request(arguments: &Arguments) -> Result<Response, Error> {
    let mut connection = Connection::open(&arguments.endpoint(), arguments.basics.deadline())?;
    let stream = if arguments.tls {
        let context = Context::to_judge(&arguments.basics.root).map_err(tls::Error::from)?;
        Stream::Secured(tls::secure(connection, &context, arguments.name()).1?)
    } else {
        connection.stage("sending the request");
        Stream::Plain(connection)
    };
    let mut dialogue = Dialogue::over(stream);
    dialogue.stage("sending the request");
    dialogue.send_bytes(arguments.message().as_bytes())?;
    dialogue.stage("waiting for the answer");
    Ok(response(&mut dialogue)?)
}

impl Arguments {
    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 443 } else { 80 })
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.host.clone(), port: self.port() }
    }

    fn name(&self) -> &str {
        self.hostname.as_deref().unwrap_or_else(|| connection::name_to_others(&self.host))
    }

    /// What the Host header says (RFC 9110, section 7.2): the port where it is not the scheme's own, an IPv6 address in
    /// brackets (RFC 3986, section 3.2.2).
    fn authority(&self) -> String {
        let name = self.name();
        let name = match name.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => name.to_owned(),
        };
        if self.port() == if self.tls { 443 } else { 80 } { name } else { format!("{name}:{}", self.port()) }
    }

    /// What is asked for. A path and a query hold no fragment, so a `#` in them is one of their characters, which must be
    /// encoded (RFC 3986, section 2.2): of those who get it as it is, Apache answers 400, and nginx leaves out what follows.
    fn target(&self) -> String {
        self.uri.replace('#', "%23")
    }

    /// RFC 9112, section 3. The connection is asked to be closed, because nothing follows.
    fn message(&self) -> String {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: auto-monitor/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            self.target(),
            self.authority(),
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// The final answer's status and header.
fn response(dialogue: &mut Dialogue) -> Result<Response, ConnectionError> {
    for _ in 0..INTERIM_MAX {
        let line =
            dialogue.expect("a status line like \"HTTP/1.1 200 OK\"", |line| status(line).is_some())?;
        // expect has seen to it that there is one.
        let Some((status, said)) = status(&line) else { continue };
        let location = header(dialogue)?;
        // Nobody asked to go on in another protocol (101), in which nothing of HTTP's follows.
        if status >= 200 || status == 101 {
            return Ok(Response { status, said: said.to_owned(), location });
        }
    }
    Err(ConnectionError::TooMuch { stage: dialogue.current_stage(), limit: "10 interim answers" })
}

/// The status of a status line (RFC 9112, section 4), and it with its reason. The blank before an empty reason, which the
/// RFC demands, is often left out.
fn status(line: &str) -> Option<(u16, &str)> {
    let version = line.get(.."HTTP/1.".len()).filter(|name| *name == "HTTP/1.")?.len();
    let rest = line.get(version..)?;
    let said = rest.strip_prefix(|c: char| c.is_ascii_digit())?.strip_prefix(' ')?;
    let (code, reason) = said.split_at_checked(3)?;
    if !code.bytes().all(|byte| byte.is_ascii_digit()) || !(reason.is_empty() || reason.starts_with(' ')) {
        return None;
    }
    code.parse().ok().filter(|code| (100..600).contains(code)).map(|code| (code, said))
}

/// Reads the header fields up to the empty line, and gives the location if there is one.
fn header(dialogue: &mut Dialogue) -> Result<Option<String>, ConnectionError> {
    let mut location = None;
    for _ in 0..FIELDS_MAX {
        // Fields that are longer than a line of a dialogue are common: cookies, whole policies.
        let line = dialogue.start_of_line()?;
        if line.is_empty() {
            return Ok(location);
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("Location") {
                location = Some(value.trim().to_owned());
            }
        }
    }
    Err(ConnectionError::TooMuch { stage: dialogue.current_stage(), limit: "200 header fields" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arguments(more: &[&str]) -> Arguments {
        let host: &[&str] = if more.contains(&"-H") { &[] } else { &["-H", "192.0.2.1"] };
        let command_line = ["check_request"].iter().chain(host).chain(more).copied();
        Arguments::try_parse_from(command_line).unwrap()
    }

    #[test]
    fn the_host_header_has_the_port_that_is_not_the_schemes_own() {
        for (more, authority) in [
            (&["-p", "80"][..], "192.0.2.1"),
            (&["-p", "443", "--tls", "--hostname", "www.example.org"], "www.example.org"),
            (&["--tls"], "192.0.2.1"),
            (&["-p", "443", "--hostname", "www.example.org"], "www.example.org:443"),
            (&["-p", "8080", "--hostname", "2001:db8::1"], "[2001:db8::1]:8080"),
            (&["-p", "80", "-H", "fe80::1%eth0"], "[fe80::1]"),
            (&["-p", "80", "-H", "www.example.org."], "www.example.org"),
        ] {
            assert_eq!(arguments(more).authority(), authority);
        }
    }

    #[test]
    fn a_request_is_one_request() {
        let uri = "/a?b=$USER5$`x`'\"!;c%0d%0a";
        let message = arguments(&["--uri", uri]).message();
        assert!(message.starts_with(&format!("GET {uri} HTTP/1.1\r\nHost: 192.0.2.1\r\n")), "{message}");
        assert_eq!(message.matches("\r\n\r\n").count(), 1);
        for bad in ["x", "/a b", "/\r\nHost: x", "/ä"] {
            assert!(super::uri(bad).is_err(), "{bad:?}");
        }
        assert!(hostname("a\r\nb").is_err());
    }

    #[test]
    fn a_path_holds_no_fragment() {
        assert!(arguments(&["--uri", "/a#b?c#"]).message().starts_with("GET /a%23b?c%23 HTTP/1.1\r\n"));
    }

    #[test]
    fn the_status_decides() {
        let state = |line: &str, refuse| {
            let (status, said) = status(line).unwrap();
            judge(&Response { status, said: said.to_owned(), location: None }, refuse).0
        };
        for (line, accepted, refused) in [
            ("HTTP/1.1 200 OK", State::Ok, State::Ok),
            ("HTTP/1.0 204", State::Ok, State::Ok),
            ("HTTP/1.1 301 Moved Permanently", State::Ok, State::Critical),
            ("HTTP/1.1 404 HTTP/1.1 200", State::Critical, State::Critical),
            ("HTTP/1.1 500 ", State::Critical, State::Critical),
        ] {
            assert_eq!((state(line, false), state(line, true)), (accepted, refused), "{line}");
        }
    }

    #[test]
    fn what_is_no_status_line_is_none() {
        for bad in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.1 999 x",
            "HTTP/1.1 099",
            "HTTP/1.1  200",
            "HTTP/2 200",
            "http/1.1 200 OK",
            "SSH-2.0-x",
            "<html>",
            "HTTP/1.ä 200",
            "HTTP/1.1 2ä0",
        ] {
            assert_eq!(status(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_line_can_be_read(line in ".*", rest in ".*") {
            let _ = status(&line);
            let _ = status(&format!("HTTP/1.1 {rest}"));
        }
    }
}
