//! `NO_PROXY`: what is reached without a proxy, as curl and Go's programs read it.

use std::net::IpAddr;

use ureq::http::Uri;

/// Whether `uri` is on this machine itself.
pub(super) fn is_local(uri: &Uri) -> bool {
    let host = host(uri);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the list names it: `*`, a name (with all below it, with or without a leading dot), an address, or a
/// network such as `10.0.0.0/8`, each perhaps with a port.
pub(super) fn names(list: &str, uri: &Uri) -> bool {
    let entries = list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| is_named(entry, uri))
}

fn is_named(entry: &str, uri: &Uri) -> bool {
    let host = host(uri);
    if entry == "*" {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((network, bits)) => match (network.parse(), bits.parse()) {
                (Ok(network), Ok(bits)) => is_within(address, network, bits),
                _ => false,
            },
            None => bare(entry, uri).is_some_and(|entry| entry.parse() == Ok(address)),
        };
    }
    let Some(entry) = bare(entry, uri) else { return false };
    let entry = entry.trim_start_matches("*.").trim_start_matches('.');
    let (host, entry) = (host.to_ascii_lowercase(), entry.to_ascii_lowercase());
    let before = host.strip_suffix(&entry).filter(|_| !entry.is_empty());
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The entry without its port and brackets; `None` when it is about another port.
fn bare<'a>(entry: &'a str, uri: &Uri) -> Option<&'a str> {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let (name, port) = match entry.rsplit_once(':') {
        // More than one colon outside brackets is an address.
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (entry, None),
    };
    let is_ours = port.is_none_or(|port| port.parse() == Ok(uri.port_u16().unwrap_or(default)));
    is_ours.then(|| name.trim_start_matches('[').trim_end_matches(']'))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, length) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let different = address ^ network;
    bits <= length && different.checked_shr(length - bits).unwrap_or(0) == 0
}

fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_hosts_domains_addresses_and_networks() {
        for (list, uri, expected) in [
            ("*", "http://x.org/", true),
            ("", "http://x.org/", false),
            ("x.org", "http://x.org/", true),
            ("x.org", "http://DB.X.org/", true),
            ("x.org", "http://not-x.org/", false),
            (".x.org,y.org", "http://y.org/", true),
            (".x.org", "http://db.x.org/", true),
            ("*.x.org", "http://db.x.org/", true),
            ("x.org:8086", "http://x.org:8086/", true),
            ("x.org:8086", "http://x.org/", false),
            ("x.org:443", "https://x.org/", true),
            ("10.0.0.1", "http://10.0.0.1:80/", true),
            ("10.0.0.0/8", "http://10.9.8.7/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("0.0.0.0/0", "http://11.0.0.1/", true),
            ("::/0", "http://[fd00::1]/", true),
            ("fd00::/8", "http://[fd00::1]/", true),
            ("[fd00::1]:80", "http://[fd00::1]/", true),
            ("fd00::1", "http://[fd00::1]/", true),
            ("10.0.0.0/99", "http://10.0.0.0/", false),
        ] {
            let uri = uri.parse().expect("a URL");
            assert_eq!(names(list, &uri), expected, "{list} {uri}");
        }
    }
}
