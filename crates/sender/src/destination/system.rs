//! Looks up a host name with the system. The standard library does the same, but its error does not say whether there
//! is no such name or whether no name server answered: only the first is the fault of the endpoint.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use super::lookup::LookupError;

pub fn look_up(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let name = CString::new(name).map_err(|_| LookupError::Unknown)?;
    // SAFETY: zeros are valid hints, and the other pointers are those of a C string and of a place for the result.
    let (code, list) = unsafe {
        let hints = libc::addrinfo { ai_socktype: libc::SOCK_STREAM, ..std::mem::zeroed() };
        let mut list = ptr::null_mut();
        (libc::getaddrinfo(name.as_ptr(), ptr::null(), &hints, &mut list), list)
    };
    match code {
        0 => {}
        libc::EAI_NONAME | libc::EAI_NODATA => return Err(LookupError::Unknown),
        _ => return Err(LookupError::Unanswered),
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: entries of a valid list, which ends with null.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: an entry has an address of its family.
        found.extend(unsafe { address(entry) });
        next = entry.ai_next;
    }
    // SAFETY: the list is valid, and not used after this.
    unsafe { libc::freeaddrinfo(list) };
    Ok(found)
}

/// # Safety
/// The entry must have an address of its family.
unsafe fn address(entry: &libc::addrinfo) -> Option<IpAddr> {
    // SAFETY: as the caller promises.
    unsafe {
        match entry.ai_family {
            libc::AF_INET => {
                let address = ptr::read_unaligned(entry.ai_addr.cast::<libc::sockaddr_in>());
                Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let address = ptr::read_unaligned(entry.ai_addr.cast::<libc::sockaddr_in6>());
                Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_an_address() {
        let found = look_up("localhost").unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert_eq!(look_up("127.0.0.1"), Ok(vec![IpAddr::from([127, 0, 0, 1])]));
        assert_eq!(look_up("::1"), Ok(vec![IpAddr::from(Ipv6Addr::LOCALHOST)]));
    }

    #[test]
    fn what_cannot_be_a_name_is_unknown() {
        assert_eq!(look_up("a\0b"), Err(LookupError::Unknown));
    }
}
