//! The keywords of `ssh_config(5)`, sorted by what they mean here.

/// Options that have an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    AddressFamily,
    BindAddress,
    CertificateFile,
    Ciphers,
    ConnectTimeout,
    ConnectionAttempts,
    GlobalKnownHostsFile,
    HashKnownHosts,
    HostKeyAlgorithms,
    HostKeyAlias,
    HostName,
    IdentitiesOnly,
    IdentityAgent,
    IdentityFile,
    KbdInteractiveAuthentication,
    KexAlgorithms,
    Macs,
    PasswordAuthentication,
    Port,
    PreferredAuthentications,
    ProxyCommand,
    ProxyJump,
    PubkeyAuthentication,
    ServerAliveCountMax,
    ServerAliveInterval,
    StrictHostKeyChecking,
    User,
    UserKnownHostsFile,
}

/// What is known about a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is honoured.
    Used(Keyword),
    /// It makes no difference to a run: multiplexing, terminals, logging, forwarding of ports, features that only
    /// add to what we always do.
    Irrelevant,
    /// It would change how or whether the connection is made, and we do not do it. Silent if the value says "off".
    Unsupported,
    /// OpenSSH does not know it either.
    Unknown,
}

/// Looks a keyword up, without regard to case.
pub(super) fn meaning(keyword: &str) -> Meaning {
    let keyword = keyword.to_ascii_lowercase();
    if let Some(used) = used(&keyword) {
        return Meaning::Used(used);
    }
    if IRRELEVANT.contains(&keyword.as_str()) {
        return Meaning::Irrelevant;
    }
    if UNSUPPORTED.contains(&keyword.as_str()) {
        return Meaning::Unsupported;
    }
    Meaning::Unknown
}

fn used(keyword: &str) -> Option<Keyword> {
    Some(match keyword {
        "addressfamily" => Keyword::AddressFamily,
        "bindaddress" => Keyword::BindAddress,
        "certificatefile" => Keyword::CertificateFile,
        "ciphers" => Keyword::Ciphers,
        "connecttimeout" => Keyword::ConnectTimeout,
        "connectionattempts" => Keyword::ConnectionAttempts,
        "globalknownhostsfile" => Keyword::GlobalKnownHostsFile,
        "hashknownhosts" => Keyword::HashKnownHosts,
        "hostkeyalgorithms" => Keyword::HostKeyAlgorithms,
        "hostkeyalias" => Keyword::HostKeyAlias,
        "hostname" => Keyword::HostName,
        "identitiesonly" => Keyword::IdentitiesOnly,
        "identityagent" => Keyword::IdentityAgent,
        "identityfile" | "identityfile2" => Keyword::IdentityFile,
        "kbdinteractiveauthentication"
        | "challengeresponseauthentication"
        | "skeyauthentication"
        | "tisauthentication" => Keyword::KbdInteractiveAuthentication,
        "kexalgorithms" => Keyword::KexAlgorithms,
        "macs" => Keyword::Macs,
        "passwordauthentication" => Keyword::PasswordAuthentication,
        "port" => Keyword::Port,
        "preferredauthentications" => Keyword::PreferredAuthentications,
        "proxycommand" => Keyword::ProxyCommand,
        "proxyjump" => Keyword::ProxyJump,
        "pubkeyauthentication" | "dsaauthentication" => Keyword::PubkeyAuthentication,
        "serveralivecountmax" => Keyword::ServerAliveCountMax,
        "serveraliveinterval" => Keyword::ServerAliveInterval,
        "stricthostkeychecking" => Keyword::StrictHostKeyChecking,
        "user" => Keyword::User,
        "userknownhostsfile" | "userknownhostsfile2" => Keyword::UserKnownHostsFile,
        _ => return None,
    })
}

const IRRELEVANT: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "casignaturealgorithms",
    "channeltimeout",
    "checkhostip",
    "cipher",
    "clearallforwardings",
    "compression",
    "compressionlevel",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fallbacktorsh",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "globalknownhostsfile2",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hostbasedacceptedalgorithms",
    "hostbasedkeytypes",
    "ignoreunknown",
    "ipqos",
    "kbdinteractivedevices",
    "keepalive",
    "localcommand",
    "localforward",
    "loglevel",
    "logverbose",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "permitlocalcommand",
    "permitremoteopen",
    "protocol",
    "rekeylimit",
    "remoteforward",
    "requesttty",
    "requiredrsasize",
    "revokedhostkeys2",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "sendenv",
    "sessiontype",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "useblacklistedkeys",
    "usekeychain",
    "useprivilegedport",
    "usersh",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

const UNSUPPORTED: &[&str] = &[
    "bindinterface",
    "canonicalizehostname",
    "forwardagent",
    "hostbasedauthentication",
    "knownhostscommand",
    "nohostauthenticationforlocalhost",
    "pkcs11provider",
    "proxyusefdpass",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "refuseconnection",
    "remotecommand",
    "revokedhostkeys",
    "securitykeyprovider",
    "setenv",
    "smartcarddevice",
    "verifyhostkeydns",
];
