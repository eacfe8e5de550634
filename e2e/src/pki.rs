//! The keys and certificates of a control plane, made once for each state folder and kept,
//! so that tokens and kubeconfigs of an earlier run stay good.

use std::fs::{create_dir_all, read_to_string, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// The name of the certificate authority.
const CA: &str = "nakhoda-dev";

/// The folder of keys and certificates.
#[derive(Clone, Debug)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Opens the folder, filling it when it is new.
    pub fn open(dir: &Path) -> Result<Self> {
        let pki = Self { dir: dir.to_owned() };
        if !pki.service_account_public_key().exists() {
            create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            pki.fill()?;
        }
        Ok(pki)
    }

    /// The certificate authority of servers and clients.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// The authority that vouches for the aggregation layer.
    pub fn front_proxy_ca(&self) -> PathBuf {
        self.dir.join("front-proxy-ca.crt")
    }

    /// Certificate and key, by the name they were made under.
    pub fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.dir.join(format!("{name}.crt")), self.dir.join(format!("{name}.key")))
    }

    /// The key that signs service-account tokens.
    pub fn service_account_key(&self) -> PathBuf {
        self.dir.join("service-account.key")
    }

    /// The key that checks service-account tokens.
    pub fn service_account_public_key(&self) -> PathBuf {
        self.dir.join("service-account.pub")
    }

    /// A client certificate for `user`, in `group` if there is one, as PEM texts: certificate, then key.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<(String, String)> {
        let path = self.dir.join("ca.key");
        let key = read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        sign_client(&Issuer::new(authority(CA)?, KeyPair::from_pem(&key)?), user, group)
    }

    /// The same, kept as the pair `name`.
    pub fn write_client(&self, name: &str, user: &str, group: Option<&str>) -> Result<()> {
        let (certificate, key) = self.client(user, group)?;
        self.write(&format!("{name}.crt"), &certificate)?;
        self.write_secret(&format!("{name}.key"), &key)
    }

    /// Certificate and key of a server under these host names, made anew as `name`.
    pub fn server(&self, name: &str, hosts: &[&str]) -> Result<(PathBuf, PathBuf)> {
        let path = self.dir.join("ca.key");
        let ca = read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let issuer = Issuer::new(authority(CA)?, KeyPair::from_pem(&ca)?);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write(&format!("{name}.crt"), &params.signed_by(&key, &issuer)?.pem())?;
        self.write_secret(&format!("{name}.key"), &key.serialize_pem())?;
        Ok(self.pair(name))
    }

    fn fill(&self) -> Result<()> {
        let ca = CertifiedIssuer::self_signed(authority(CA)?, KeyPair::generate()?)?;
        self.write_secret("ca.key", &ca.key().serialize_pem())?;
        self.write("ca.crt", &ca.pem())?;

        let serving = KeyPair::generate()?;
        let mut params = CertificateParams::new(
            ["localhost", "127.0.0.1", "10.96.0.1", "kubernetes", "kubernetes.default.svc"].map(String::from),
        )?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write_secret("serving.key", &serving.serialize_pem())?;
        self.write("serving.crt", &params.signed_by(&serving, &ca)?.pem())?;

        let front_proxy =
            CertifiedIssuer::self_signed(authority("nakhoda-dev-front-proxy")?, KeyPair::generate()?)?;
        let (certificate, key) = sign_client(&front_proxy, "front-proxy-client", None)?;
        self.write("front-proxy-ca.crt", &front_proxy.pem())?;
        self.write("front-proxy-client.crt", &certificate)?;
        self.write_secret("front-proxy-client.key", &key)?;

        let tokens = KeyPair::generate()?;
        self.write_secret("service-account.key", &tokens.serialize_pem())?;
        self.write("service-account.pub", &tokens.public_key_pem())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn write_secret(&self, name: &str, text: &str) -> Result<()> {
        self.write(name, text)?;
        Ok(set_permissions(self.dir.join(name), PermissionsExt::from_mode(0o600))?)
    }
}

/// What an authority's certificate says. The same name and key make the same issuer again.
fn authority(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn sign_client(issuer: &Issuer<'_, KeyPair>, user: &str, group: Option<&str>) -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.distinguished_name.push(DnType::CommonName, user);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}
