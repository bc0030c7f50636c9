//! TLS over a [`Connection`], by OpenSSL alone: one way for the certificate's probe and for the mail's.
//!
//! The verification collects every fault and goes on, so that one handshake tells all of them; whether the connection may be
//! used is then the caller's decision, taken before a byte is sent over it. The authorities are looked up in the hashed folder
//! (`c_rehash`, `update-ca-certificates`), a file each; reading the bundle of all of them costs milliseconds.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::pkey::Id;
use openssl::ssl::{
    HandshakeError, ShutdownResult, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslRef,
    SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use openssl::stack::StackRef;
use openssl::x509::store::X509Lookup;
use openssl::x509::verify::X509CheckFlags;
use openssl::x509::{X509, X509VerifyResult};

use crate::connection::{self, Connection, excerpt};

/// The authorities that a Debian system trusts, below `--root`.
pub const AUTHORITIES: &str = "etc/ssl/certs";

/// The security level of Debian's OpenSSL (`SSL_CTX_set_security_level(3ssl)`): 112 bits, so no RSA key below 2048 bits, and no
/// signature with SHA-1 or MD5.
const DEBIANS_LEVEL: i32 = 2;
/// What OpenSSL adds to an alert's number (RFC 8446, section 6) for the reason of an error (`SSL_AD_REASON_OFFSET`).
const ALERT_OFFSET: i32 = 1000;
/// OpenSSL's reason for an end without a `close_notify` (`SSL_R_UNEXPECTED_EOF_WHILE_READING`).
const UNEXPECTED_END: i32 = 294;
/// How many of the bytes are shown that are neither TLS nor text.
const BYTES_SHOWN: usize = 8;
/// How long a server is waited for, at least, that may have a word to say after the handshake.
const LAST_WORD: Duration = Duration::from_millis(100);

/// A connection in plain or over TLS.
#[derive(Debug)]
pub enum Stream {
    /// In plain.
    Plain(Connection),
    /// Over TLS.
    Secured(SslStream<Connection>),
}

/// How a handshake is made.
#[derive(Debug, Clone)]
pub struct Context {
    context: SslContext,
    names: X509CheckFlags,
}

/// What a connection over TLS is wanted for. The path is the root below which the authorities are.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// To see whether the server works. What is wrong with its certificate is another probe's news.
    Look(&'a Path),
    /// To say what nobody but this server may hear, such as a password.
    Confide(&'a Path),
}

impl Purpose<'_> {
    /// The context for it.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn context(self) -> Result<Context, ErrorStack> {
        match self {
            Self::Look(root) => Context::to_judge(root),
            Self::Confide(root) => Context::to_trust(root),
        }
    }
}

impl Context {
    /// One for a connection that is to be used: what Debian's own clients refuse fails, and a name that stands in the
    /// common name alone is none (RFC 9525, section 6.3).
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn to_trust(root: &Path) -> Result<Self, ErrorStack> {
        let names = X509CheckFlags::NO_PARTIAL_WILDCARDS | X509CheckFlags::NEVER_CHECK_SUBJECT;
        Ok(Self { context: trusting(root)?.build(), names })
    }

    /// One for a connection that is only looked at: as much as possible succeeds, down to TLS 1.0 and any strength, so that an old
    /// server shows its certificate at all; the certificates' own strength is judged by Debian's level all the same. A
    /// common name counts where there is no DNS name beside it (RFC 6125, section 6.4.4); who looks must ask which it was.
    ///
    /// OpenSSL's configuration (`openssl.cnf`) is left out, because what an administrator forbids his own programs would hide
    /// what a server does; reading it also takes 3 % of a run. This works for the program's first context alone, and sets a
    /// variable of the environment for as long as it takes: no other thread may read one meanwhile. The resolver's does not
    /// any more, once it has answered.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn to_judge(root: &Path) -> Result<Self, ErrorStack> {
        let mut context = temp_env::with_var("OPENSSL_CONF", Some("/dev/null"), || trusting(root))?;
        context.set_security_level(0);
        context.set_min_proto_version(Some(SslVersion::TLS1))?;
        context.verify_param_mut().set_auth_level(DEBIANS_LEVEL);
        // Of the same strength to a probe, and SHA-256 derives the keys faster than SHA-384, which OpenSSL offers first.
        context
            .set_ciphersuites("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256")?;
        // A record's head and body in one system call; nothing follows that could be read by mistake.
        context.set_read_ahead(true);
        // Nothing is ever resumed.
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        Ok(Self { context: context.build(), names: X509CheckFlags::NO_PARTIAL_WILDCARDS })
    }
}

/// Trusts the authorities below this root.
fn trusting(root: &Path) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    let authorities = root.join(AUTHORITIES);
    // A folder that is not there is no error: then nothing is trusted, and the verification says so.
    context
        .cert_store_mut()
        .add_lookup(X509Lookup::hash_dir())?
        .add_dir(&authorities.to_string_lossy(), SslFiletype::PEM)?;
    Ok(context)
}

/// A fault that the verification found.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which, as OpenSSL names it (`openssl-verification-options(1)`).
    pub result: X509VerifyResult,
    /// How far from the server's own certificate, which is at 0.
    pub depth: u32,
    /// The certificate, where one is concerned.
    pub certificate: Option<X509>,
}

/// What was found out about the server's certificates.
#[derive(Debug, Default)]
pub struct Findings {
    /// Every fault of the verification.
    pub faults: Vec<Fault>,
    /// The certificates as the server sent them, its own first.
    pub sent: Vec<X509>,
    /// The chain that was verified: from the server's certificate to a trusted authority, or as far as it goes.
    pub chain: Vec<X509>,
    /// The protocol and the cipher, once they are agreed on.
    pub agreed: Option<Agreed>,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The protocol, e.g. `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher by OpenSSL's name.
    pub cipher: &'static str,
    /// Whether the protocol is TLS 1.0 or 1.1, which RFC 8996 forbids and Debian's clients refuse.
    pub is_outdated: bool,
    /// The bits of the server's Diffie-Hellman key, where Debian's clients find them too few.
    pub weak_exchange: Option<u32>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The other side said so, with an alert (RFC 8446, section 6). The findings until then are there all the same.
    #[error("the server refuses the TLS handshake: {}", alert_meaning(*.0))]
    Refused(u8),
    /// We cannot go on; what the findings have until then is there all the same.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    /// The other side does not speak TLS.
    #[error("the server answers in plain text where TLS was expected: {}", excerpt(.0))]
    PlainText(String),
    /// The other side speaks neither TLS nor text.
    #[error("the server does not speak TLS here; it answers with the bytes {}", hexadecimal(.0))]
    NotTls(Vec<u8>),
    /// The connection ended in the handshake.
    #[error(transparent)]
    Connection(connection::Error),
    /// OpenSSL could not be set up.
    #[error("cannot set up TLS")]
    Setup(#[from] ErrorStack),
}

/// An alert in words, as RFC 8446, section 6.2 describes it; those that a client hears.
fn alert_meaning(alert: u8) -> String {
    let meaning = match alert {
        40 => "it finds nothing acceptable in what we offer (handshake_failure)",
        42 => "it takes our certificate for damaged, or misses one (bad_certificate)",
        48 => "it does not know our certificate's authority (unknown_ca)",
        49 => "it denies us access (access_denied)",
        70 => "it speaks no version of TLS that we do (protocol_version)",
        71 => "it demands stronger ciphers (insufficient_security)",
        80 => "it has an error of its own (internal_error)",
        112 => "it does not know the name that we ask for (unrecognized_name)",
        116 => "it demands a client's certificate (certificate_required)",
        120 => "it speaks another protocol over TLS (no_application_protocol)",
        other => return format!("its alert has the number {other}"),
    };
    meaning.to_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(BYTES_SHOWN).map(|byte| format!("{byte:02x}")).collect();
    shown.join(" ")
}

/// Makes the TLS handshake. `name` is what is asked for (SNI) and what the certificate must carry.
///
/// # Errors
/// The handshake failed. Faults of the certificate are no errors here; they are in the findings, which are given in both cases.
pub fn secure(
    mut connection: Connection,
    context: &Context,
    name: &str,
) -> (Findings, Result<SslStream<Connection>, Error>) {
    connection.stage("making the TLS handshake");
    connection.forget_first_bytes();
    let mut findings = Findings::default();
    let faults = Arc::new(Mutex::new(Vec::new()));
    let stream = handshake(connection, context, name, &faults, &mut findings);
    findings.faults = std::mem::take(&mut *faults.lock().unwrap_or_else(PoisonError::into_inner));
    (findings, stream)
}

fn handshake(
    connection: Connection,
    context: &Context,
    name: &str,
    faults: &Arc<Mutex<Vec<Fault>>>,
    findings: &mut Findings,
) -> Result<SslStream<Connection>, Error> {
    let mut ssl = Ssl::new(&context.context)?;
    let parameters = ssl.param_mut();
    if let Ok(address) = name.parse::<IpAddr>() {
        parameters.set_ip(address)?;
    } else {
        parameters.set_hostflags(context.names);
        parameters.set_host(name)?;
        // RFC 6066, section 3: an address is no name to ask for.
        ssl.set_hostname(name)?;
    }
    let found = Arc::clone(faults);
    ssl.set_verify_callback(SslVerifyMode::PEER, move |sound, verification| {
        if !sound {
            found.lock().unwrap_or_else(PoisonError::into_inner).push(Fault {
                result: verification.error(),
                depth: verification.error_depth(),
                certificate: verification.current_cert().map(ToOwned::to_owned),
            });
            // Else OpenSSL tells this one again where the chain ends, in place of what is wrong there.
            verification.set_error(X509VerifyResult::OK);
        }
        true
    });
    match ssl.connect(connection) {
        Ok(stream) => {
            findings.note(stream.ssl());
            Ok(stream)
        }
        Err(HandshakeError::SetupFailure(error)) => Err(Error::Setup(error)),
        Err(HandshakeError::Failure(stream) | HandshakeError::WouldBlock(stream)) => {
            findings.note(stream.ssl());
            let stage = stream.get_ref().current_stage();
            let first = stream.get_ref().first_bytes().to_vec();
            Err(Error::of(stream.into_error(), &first, stage))
        }
    }
}

impl Findings {
    /// Takes down what the handshake has found out, however far it came.
    fn note(&mut self, ssl: &SslRef) {
        let copied = |stack: &StackRef<X509>| stack.iter().map(ToOwned::to_owned).collect();
        self.sent = ssl.peer_cert_chain().map(copied).unwrap_or_default();
        self.chain = ssl.verified_chain().map(copied).unwrap_or_default();
        self.agreed = ssl.current_cipher().map(|cipher| Agreed {
            protocol: ssl.version_str(),
            cipher: cipher.name(),
            is_outdated: matches!(ssl.version2(), Some(SslVersion::TLS1 | SslVersion::TLS1_1)),
            weak_exchange: weak_exchange(ssl),
        });
    }
}

/// The bits of the server's Diffie-Hellman key, if they are below 2048. TLS 1.3 has no such groups (RFC 8446, section 4.2.7).
fn weak_exchange(ssl: &SslRef) -> Option<u32> {
    if ssl.version2() == Some(SslVersion::TLS1_3) {
        return None;
    }
    let key = ssl.peer_tmp_key().ok()?;
    (key.id() == Id::DH).then(|| key.bits()).filter(|&bits| bits < 2048)
}

impl Error {
    /// Ours, out of OpenSSL's and of the first bytes that the other side answered.
    fn of(error: openssl::ssl::Error, first: &[u8], stage: &'static str) -> Self {
        let error = match error.into_io_error() {
            Ok(error) => return Self::Connection(connection::Error::out_of(error, stage)),
            Err(error) => error,
        };
        let Some(cause) = error.ssl_error().and_then(|stack| stack.errors().first()) else {
            // The other side closed without a word.
            return Self::Connection(connection::Error::Closed { stage });
        };
        if !first.first().is_none_or(|&byte| is_record(byte)) {
            return if is_text(first) {
                let text = String::from_utf8_lossy(first);
                Self::PlainText(text.lines().next().unwrap_or_default().to_owned())
            } else {
                Self::NotTls(first.to_vec())
            };
        }
        match cause.reason_code() {
            UNEXPECTED_END => Self::Connection(connection::Error::Closed { stage }),
            reason => match u8::try_from(reason - ALERT_OFFSET) {
                Ok(alert) => Self::Refused(alert),
                Err(_) => Self::Handshake(cause.reason().unwrap_or("OpenSSL gives no reason").to_owned()),
            },
        }
    }
}

/// Says goodbye, and hears whether the server refuses the session after all: with TLS 1.3, a server that demands a client's
/// certificate says so only after the client has finished the handshake (RFC 8446, section 4.4.2.4). Only one that has asked for
/// a certificate is waited for, and no longer than for the handshake, which took `handshake`.
///
/// # Errors
/// It refuses.
pub fn dismiss(mut stream: SslStream<Connection>, handshake: Duration) -> Result<(), Error> {
    // OpenSSL does not tell a client that it was asked for a certificate, but its answer does: an empty Certificate
    // message (section 4.4.2) before its Finished, each a record of its own.
    let was_asked =
        stream.ssl().version2() == Some(SslVersion::TLS1_3) && stream.get_ref().protected_records() > 1;
    // A server that has already hung up cannot be told, but its last word can still be read.
    let _: Result<ShutdownResult, _> = stream.shutdown();
    if !was_asked {
        return Ok(());
    }
    stream.get_mut().wait_at_most(handshake.max(LAST_WORD));
    let mut buffer = [0; 256];
    loop {
        match stream.ssl_read(&mut buffer) {
            Ok(read) if read > 0 => {}
            Ok(_) => return Ok(()),
            Err(error) => {
                return match Error::of(error, &[], "") {
                    refused @ Error::Refused(_) => Err(refused),
                    _ => Ok(()),
                };
            }
        }
    }
}

/// Whether a TLS record may begin so: with its content type (RFC 8446, section 5.1).
fn is_record(byte: u8) -> bool {
    matches!(byte, 0x14..=0x18)
}

/// Whether it looks like text.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x80..))
}

impl Stream {
    /// The connection below.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        match self {
            Self::Plain(connection) => connection,
            Self::Secured(stream) => stream.get_ref(),
        }
    }

    /// Says what is being done from now on, for errors.
    pub fn stage(&mut self, stage: &'static str) {
        match self {
            Self::Plain(connection) => connection.stage(stage),
            Self::Secured(stream) => stream.get_mut().stage(stage),
        }
    }

    /// Whether it is over TLS.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        matches!(self, Self::Secured(_))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(connection) => connection.read(buffer),
            Self::Secured(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(connection) => connection.write(buffer),
            Self::Secured(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(connection) => connection.flush(),
            Self::Secured(stream) => stream.flush(),
        }
    }
}
