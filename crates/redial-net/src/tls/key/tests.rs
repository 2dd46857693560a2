//! Both forms of every kind of key; ssh-keygen is asked in the integration tests.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// RFC 8410 section 10.1, and the same point as RFC 8709 section 4 writes it.
#[test]
fn an_ed25519_key_has_one_form_each() {
    let point = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
    let spki = hex(&format!("302a300506032b6570032100{point}"));
    let blob = hex(&format!("0000000b 7373682d65643235353139 00000020 {point}"));
    let key = HostKey::from_spki(&spki).unwrap();
    assert_eq!(key.algorithm(), KeyAlgorithm::Ed25519);
    assert_eq!(key.ssh_blob(), blob);
    assert_eq!(HostKey::from_ssh(&blob).unwrap(), key);
    assert_eq!(key.spki(), spki);
    assert_eq!(format!("{key:?}"), "HostKey(ssh-ed25519 0c5c38ad703166e1)");
}

fn rsa_key(bytes: usize) -> Result<HostKey, KeyError> {
    let mut modulus = vec![0x5a; bytes + 1];
    (modulus[0], modulus[1]) = (0, 0x80);
    rsa(&modulus, &[1, 0, 1])
}

#[test]
fn an_rsa_key_goes_from_one_form_to_the_other_and_back() {
    for bytes in [256, 384, 512, 1024] {
        let key = rsa_key(bytes).unwrap();
        assert_eq!(HostKey::from_spki(key.spki()).as_ref(), Ok(&key));
        assert_eq!(HostKey::from_ssh(key.ssh_blob()).as_ref(), Ok(&key));
    }
}

#[test]
fn an_rsa_key_outside_2048_to_8192_bits_is_refused() {
    assert_eq!(rsa_key(255), Err(KeyError::RsaSize));
    assert_eq!(rsa_key(1025), Err(KeyError::RsaSize));
    let one_bit_short = [&[0x7f][..], &[0x5a; 255]].concat();
    assert_eq!(rsa(&one_bit_short, &[3]), Err(KeyError::RsaSize));
    assert_eq!(rsa(&[0, 0x80], &[3; 9]), Err(KeyError::RsaSize));
}

#[test]
fn a_key_in_a_longer_form_than_needed_is_damaged() {
    let key = rsa_key(256).unwrap();
    // 30 82 01 22: the length in three bytes where two are enough.
    let mut longer = key.spki().to_vec();
    longer.splice(1..4, [0x83, 0, 1, 0x22]);
    assert_eq!(HostKey::from_spki(&longer), Err(KeyError::Malformed));
    assert_eq!(rsa(&[0, 0x7f], &[3]), Err(KeyError::Malformed));
    assert_eq!(rsa(&[0x80], &[3]), Err(KeyError::Malformed));
    assert_eq!(rsa(&[], &[3]), Err(KeyError::Malformed));
}

#[test]
fn a_key_cut_anywhere_or_with_something_behind_it_is_refused() {
    let point = [&[4][..], &[9; 64]].concat();
    for key in [ed25519(&[7; 32]), p256(&point), rsa_key(256)] {
        let key = key.unwrap();
        for len in 0..key.spki().len() {
            assert!(
                HostKey::from_spki(&key.spki()[..len]).is_err(),
                "{key:?} {len}"
            );
        }
        for len in 0..key.ssh_blob().len() {
            assert!(
                HostKey::from_ssh(&key.ssh_blob()[..len]).is_err(),
                "{key:?} {len}"
            );
        }
        assert!(HostKey::from_spki(&[key.spki(), &[0]].concat()).is_err());
        assert!(HostKey::from_ssh(&[key.ssh_blob(), &[0]].concat()).is_err());
    }
}

#[test]
fn a_key_of_another_kind_is_named_so() {
    let ed448 = hex("30433005 06032b6571 033a00").into_iter().chain([1; 57]);
    assert_eq!(
        HostKey::from_spki(&ed448.collect::<Vec<_>>()),
        Err(KeyError::Algorithm)
    );
    assert_eq!(
        HostKey::from_ssh(&strings(&[b"ssh-dss", &[1]])),
        Err(KeyError::Algorithm)
    );
    let p384 = strings(&[b"ecdsa-sha2-nistp256", b"nistp384", &[4; 65]]);
    assert_eq!(HostKey::from_ssh(&p384), Err(KeyError::Malformed));
    assert_eq!(HostKey::from_ssh(&[0xff; 4]), Err(KeyError::Malformed));
}
