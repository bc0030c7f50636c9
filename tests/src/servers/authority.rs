//! Certificate authorities and the certificates that they issue: good ones, and ones that are wrong in one thing.
//!
//! ```no_run
//! # use auto_monitor_tests::servers::authority::{Authority, Request};
//! # fn main() -> anyhow::Result<()> {
//! # let (root, folder) = (std::path::Path::new("root"), std::path::Path::new("folder"));
//! let authority = Authority::new("Test root")?;
//! authority.trust(root)?; // into ROOT/etc/ssl/certs
//! let between = authority.intermediate(&Request::named("Test intermediate"))?;
//! let expired = between.issue(&Request::named("mail.example.org").valid_days(-90, -1))?;
//! let files = expired.write(folder, "mail")?;
//! # Ok(())
//! # }
//! ```

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name};

mod request;

pub use request::{Request, elliptic_key, rsa_key};

/// What a server loads.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate alone, PEM.
    pub certificate: PathBuf,
    /// The intermediates above it, the nearest first, PEM; none if there are none.
    pub intermediates: Option<PathBuf>,
    /// The certificate and the intermediates, PEM, which is what most servers load.
    pub chain: PathBuf,
    /// The private key, PEM, readable by its owner.
    pub key: PathBuf,
}

impl Files {
    /// What a server loads that forgets the intermediates.
    #[must_use]
    pub fn without_intermediates(self) -> Self {
        Self { chain: self.certificate.clone(), intermediates: None, ..self }
    }
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: X509,
    /// Its key.
    pub key: PKey<Private>,
    /// The intermediates above it, the nearest first, without the root.
    pub intermediates: Vec<X509>,
}

impl Certificate {
    /// Writes `NAME.pem`, `NAME.intermediates.pem`, `NAME.chain.pem` and `NAME.key` into a folder, which is made.
    pub fn write(&self, folder: &Path, name: &str) -> Result<Files> {
        fs::create_dir_all(folder)?;
        let file = |suffix: &str| folder.join(format!("{name}.{suffix}"));
        let mut above = Vec::new();
        for certificate in &self.intermediates {
            above.extend(certificate.to_pem()?);
        }
        let files = Files {
            certificate: file("pem"),
            intermediates: (!above.is_empty()).then(|| file("intermediates.pem")),
            chain: file("chain.pem"),
            key: file("key"),
        };
        let alone = self.certificate.to_pem()?;
        fs::write(&files.certificate, &alone)?;
        fs::write(&files.chain, [alone, above.clone()].concat())?;
        if let Some(path) = &files.intermediates {
            fs::write(path, above)?;
        }
        fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&files.key)?
            .write_all(&self.key.private_key_to_pem_pkcs8()?)?;
        Ok(files)
    }
}

/// An authority: a root, or an intermediate below one.
#[derive(Debug, Clone)]
pub struct Authority(Certificate);

impl Authority {
    /// A root of this name with an elliptic key, valid for ten years around now.
    pub fn new(name: &str) -> Result<Self> {
        Self::root(&Request::named(name).valid_days(-3650, 3650))
    }

    /// A root as requested; alternative names are left out.
    pub fn root(request: &Request) -> Result<Self> {
        let key = request.key_or_new()?;
        let certificate = build(request, &key, None, true)?;
        Ok(Self(Certificate { certificate, key, intermediates: Vec::new() }))
    }

    /// An authority below this one; alternative names are left out.
    pub fn intermediate(&self, request: &Request) -> Result<Self> {
        self.sign(request, true).map(Self)
    }

    /// A certificate below this authority.
    pub fn issue(&self, request: &Request) -> Result<Certificate> {
        self.sign(request, false)
    }

    fn sign(&self, request: &Request, authority: bool) -> Result<Certificate> {
        let key = request.key_or_new()?;
        let certificate = build(request, &key, Some(&self.0), authority)?;
        let mut intermediates = self.0.intermediates.clone();
        if !self.is_root() {
            intermediates.insert(0, self.0.certificate.clone());
        }
        Ok(Certificate { certificate, key, intermediates })
    }

    fn is_root(&self) -> bool {
        let certificate = &self.0.certificate;
        certificate.subject_name().try_cmp(certificate.issuer_name()).is_ok_and(std::cmp::Ordering::is_eq)
    }

    /// The authority's own certificate and key.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }

    /// Has the system below this root trust the authority, as `openssl rehash` leaves it: a file
    /// `etc/ssl/certs/HASH.N`, named by the hash of the subject's name and a count from 0. Returns that folder.
    pub fn trust(&self, root: &Path) -> Result<PathBuf> {
        let folder = root.join("etc/ssl/certs");
        fs::create_dir_all(&folder)?;
        let hash = self.0.certificate.subject_name_hash();
        let free = (0..=u32::MAX)
            .map(|count| folder.join(format!("{hash:08x}.{count}")))
            .find(|path| !path.exists());
        let path = free.context("every number is taken")?;
        fs::write(&path, self.0.certificate.to_pem()?)?;
        Ok(folder)
    }
}

/// A certificate that is its own issuer, and no authority.
pub fn self_signed(request: &Request) -> Result<Certificate> {
    let key = request.key_or_new()?;
    let certificate = build(request, &key, None, false)?;
    Ok(Certificate { certificate, key, intermediates: Vec::new() })
}

/// Makes the certificate; without an issuer, its own key signs it.
fn build(
    request: &Request,
    key: &PKey<Private>,
    issuer: Option<&Certificate>,
    authority: bool,
) -> Result<X509> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, &request.common_name)?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(120, MsbOption::ONE, false)?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;

    let mut builder = X509Builder::new()?;
    builder.set_version(2)?; // That is X.509 version 3.
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.certificate.subject_name()))?;
    builder.set_not_before(&*Asn1Time::from_unix(now + request.valid.0)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(now + request.valid.1)?)?;
    builder.set_pubkey(key)?;

    let above = issuer.map(|issuer| &*issuer.certificate);
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(above, None))?;
    builder.append_extension(identifier)?;
    if above.is_some() {
        let identifier =
            AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(above, None))?;
        builder.append_extension(identifier)?;
    }
    if authority {
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    } else {
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
        if let Some(names) = request.alternative_names() {
            let names = names.build(&builder.x509v3_context(above, None))?;
            builder.append_extension(names)?;
        }
    }
    builder.sign(issuer.map_or(key, |issuer| &issuer.key), request.digest)?;
    Ok(builder.build())
}
