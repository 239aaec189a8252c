//! Ranges of IP addresses in CIDR notation (RFC 4632, RFC 4291 §2.3).

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Deserializer, de};

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    network: IpAddr,
    prefix_bits: u32,
}

impl AddressRange {
    /// Reads CIDR notation. `None` when it is anything else, or when bits behind the prefix are set: such a text says
    /// two things.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let network: IpAddr = address.parse().ok()?;
        let bits_max = if network.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => bits_max,
            Some(bits) => {
                let plain = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
                bits.parse().ok().filter(|bits| plain && *bits <= bits_max)?
            }
        };
        let range = Self { network, prefix_bits };
        (host_bits(network, prefix_bits) == 0).then_some(range)
    }

    /// Whether `address` lies in the range. An IPv4 address seen through an IPv6 socket (`::ffff:a.b.c.d`) counts as
    /// the IPv4 address it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4()
            && network_bits(address, self.prefix_bits) == network_bits(self.network, self.prefix_bits)
    }
}

/// The address as a number in the upper bits, so that both families are treated alike.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}

fn network_bits(address: IpAddr, prefix_bits: u32) -> u128 {
    number(address) & !u128::MAX.checked_shr(prefix_bits).unwrap_or(0)
}

fn host_bits(address: IpAddr, prefix_bits: u32) -> u128 {
    number(address) & u128::MAX.checked_shr(prefix_bits).unwrap_or(0)
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("`{text}` is no address range such as 10.0.0.0/8 (no bits behind the prefix)"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_lies_inside() {
        for (range, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ] {
            let range = AddressRange::parse(range).unwrap();
            assert!(range.contains(inside.parse().unwrap()), "{range:?} {inside}");
            assert!(!range.contains(outside.parse().unwrap()), "{range:?} {outside}");
        }
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in
            ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0/8", "::1/129", "fe80::1/64", "a"]
        {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}
