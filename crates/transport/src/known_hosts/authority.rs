//! Validating a host certificate whose authority is trusted (OpenSSH's PROTOCOL.certkeys).

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg};

use crate::wildcard;

/// Why a certificate does not prove the host's identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateFault {
    #[error("the server's certificate is signed by an authority that is not listed for this host")]
    UnknownAuthority,
    #[error("the server's certificate is a user certificate")]
    NotAHostCertificate,
    #[error("the server's certificate does not name `{0}`")]
    Principal(String),
    #[error("the server's certificate is not valid at this time")]
    Validity,
    #[error("the server's certificate has critical options, which host certificates must not have")]
    CriticalOptions,
    #[error("the server's certificate is signed with {0}, which is not accepted")]
    SignatureAlgorithm(String),
    #[error("the signature of the server's certificate is wrong")]
    Signature,
}

/// Checks everything except who the authority is. An empty principal list covers every host, as in OpenSSH.
pub(super) fn check(
    certificate: &Certificate,
    host: &str,
    now: u64,
) -> Result<(), CertificateFault> {
    if certificate.cert_type() != CertType::Host {
        return Err(CertificateFault::NotAHostCertificate);
    }
    let principals = certificate.valid_principals();
    if !principals.is_empty()
        && !principals
            .iter()
            .any(|p| wildcard::matches(&p.to_lowercase(), host))
    {
        return Err(CertificateFault::Principal(host.to_owned()));
    }
    if !certificate.critical_options().is_empty() {
        return Err(CertificateFault::CriticalOptions);
    }
    let algorithm = certificate.signature().algorithm();
    // SHA-1 signatures can be forged by collision (SHAttered); OpenSSH's CASignatureAlgorithms leaves them out too.
    if matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err(CertificateFault::SignatureAlgorithm(algorithm.to_string()));
    }
    if now < certificate.valid_after() || now >= certificate.valid_before() {
        return Err(CertificateFault::Validity);
    }
    // The caller matched the authority's key itself; naming it again makes the library verify the signature with it.
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(now, [&authority])
        .map_err(|_| CertificateFault::Signature)
}
