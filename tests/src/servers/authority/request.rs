//! What a certificate shall say.

use std::net::IpAddr;

use anyhow::Result;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectAlternativeName;

/// A key that several certificates may have: RSA keys take their time to make.
pub fn rsa_key(bits: u32) -> Result<PKey<Private>> {
    Ok(PKey::from_rsa(Rsa::generate(bits)?)?)
}

/// A new key on P-256.
pub fn elliptic_key() -> Result<PKey<Private>> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&curve)?)?)
}

/// What a certificate shall say. Unless said otherwise: valid since yesterday and for 90 days, a new key on P-256, signed
/// with SHA-256.
#[derive(Clone)]
pub struct Request {
    pub(super) common_name: String,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    /// Seconds from now.
    pub(super) valid: (i64, i64),
    key: Option<PKey<Private>>,
    pub(super) digest: MessageDigest,
}

impl Request {
    /// A name as the subject's common name and as DNS alternative name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { names: vec![name.to_owned()], ..Self::common_name_only(name) }
    }

    /// A name as the subject's common name, and no alternative name.
    #[must_use]
    pub fn common_name_only(name: &str) -> Self {
        Self {
            common_name: name.to_owned(),
            names: Vec::new(),
            addresses: Vec::new(),
            valid: (-86_400, 90 * 86_400),
            key: None,
            digest: MessageDigest::sha256(),
        }
    }

    /// One more DNS alternative name; `*.example.org` too.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// One more IP alternative name.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Valid from and to so many days from now; the past is negative.
    #[must_use]
    pub fn valid_days(self, from: i64, to: i64) -> Self {
        self.valid_seconds(from * 86_400, to * 86_400)
    }

    /// Valid from and to so many seconds from now; the past is negative.
    #[must_use]
    pub fn valid_seconds(mut self, from: i64, to: i64) -> Self {
        self.valid = (from, to);
        self
    }

    /// With this key.
    #[must_use]
    pub fn key(mut self, key: &PKey<Private>) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Signed with this digest.
    #[must_use]
    pub fn digest(mut self, digest: MessageDigest) -> Self {
        self.digest = digest;
        self
    }

    pub(super) fn key_or_new(&self) -> Result<PKey<Private>> {
        self.key.clone().map_or_else(elliptic_key, Ok)
    }

    pub(super) fn alternative_names(&self) -> Option<SubjectAlternativeName> {
        let mut extension = SubjectAlternativeName::new();
        for name in &self.names {
            extension.dns(name);
        }
        for address in &self.addresses {
            extension.ip(&address.to_string());
        }
        (!self.names.is_empty() || !self.addresses.is_empty()).then_some(extension)
    }
}
