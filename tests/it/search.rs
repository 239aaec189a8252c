//! The search for words that must not be there, in whatever bytes leave in: base64, hexadecimal, percent signs, gzip,
//! Parquet, and these inside one another.

use std::io::Read;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use regex::bytes::Regex;

/// How many disguises may be worn one over another: gzip, base64 of a record, base64 of an envelope, base64 in a text.
const DEPTH: u32 = 4;

/// The shortest run of letters that is read as base64 or hexadecimal.
const RUN_BYTES_MIN: usize = 16;

/// How a Parquet file begins.
const PARQUET: &[u8] = b"PAR1";

/// Reads groups of four whatever they encode: a run need not end where the encoding did.
const ANY_BITS: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a disguise hides, in pieces.
type Decode = fn(&[u8]) -> Vec<Vec<u8>>;

/// Words to look for.
pub(crate) struct Search(Regex);

impl Search {
    pub(crate) fn of<Word: AsRef<str>>(words: impl IntoIterator<Item = Word>) -> Self {
        let words: Vec<String> = words.into_iter().map(|word| regex::escape(word.as_ref())).collect();
        assert!(!words.is_empty());
        Self(Regex::new(&words.join("|")).unwrap())
    }

    /// The first word that is there, and what it was hidden in.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<String> {
        self.below(bytes, DEPTH)
    }

    fn below(&self, bytes: &[u8], depth: u32) -> Option<String> {
        if let Some(found) = self.0.find(bytes) {
            return Some(String::from_utf8_lossy(found.as_bytes()).into_owned());
        }
        let depth = depth.checked_sub(1)?;
        // One disguise at a time: what is found inside names the ones that were taken off.
        let disguises: [(&str, Decode); 5] = [
            ("Parquet", rows),
            ("gzip", unzipped),
            ("percent signs", percent_decoded),
            ("base64", base64_decoded),
            ("hexadecimal", hex_decoded),
        ];
        // What else is done to the bytes of a Parquet file makes them none.
        let disguises = if bytes.starts_with(PARQUET) { &disguises[..1] } else { &disguises[1..] };
        disguises.iter().find_map(|(name, decode)| {
            let found = decode(bytes).iter().find_map(|inside| self.below(inside, depth))?;
            Some(format!("{found}, in {name}"))
        })
    }
}

/// The rows of a Parquet file, as text.
fn rows(bytes: &[u8]) -> Vec<Vec<u8>> {
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(bytes)).expect("a Parquet file can be read");
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string().into_bytes()).collect()
}

/// Everything that was compressed and begins anywhere.
fn unzipped(bytes: &[u8]) -> Vec<Vec<u8>> {
    let begins = bytes.windows(3).enumerate().filter(|(_, window)| *window == [0x1f, 0x8b, 8]);
    let all = begins.map(|(at, _)| {
        let mut plain = Vec::new();
        // What follows the end, or is cut off, is no matter: what came before it counts.
        flate2::read::GzDecoder::new(&bytes[at..]).read_to_end(&mut plain).ok();
        plain
    });
    all.filter(|plain| !plain.is_empty()).collect()
}

fn percent_decoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut read, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let value = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        read.push(value.unwrap_or(bytes[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    if read.len() < bytes.len() { vec![read] } else { Vec::new() }
}

/// All runs of either alphabet, read from each of the four places in a group, a zero between them.
fn base64_decoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    let plain = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    shifted(bytes, letter, 4, |part| ANY_BITS.decode(part.iter().map(plain).collect::<Vec<u8>>()).unwrap())
}

fn hex_decoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    let value = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    shifted(bytes, u8::is_ascii_hexdigit, 2, |part| part.chunks(2).map(value).collect())
}

/// Runs of letters of an encoding whose groups have `group` letters, decoded from each place in a group.
fn shifted(
    bytes: &[u8],
    letter: impl Fn(&u8) -> bool,
    group: usize,
    decode: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(); group];
    for run in bytes.split(|byte| !letter(byte)).filter(|run| run.len() >= RUN_BYTES_MIN) {
        for (shift, decoded) in all.iter_mut().enumerate() {
            let part = &run[shift..];
            decoded.extend(decode(&part[..part.len() / group * group]));
            decoded.push(0);
        }
    }
    all.retain(|decoded| !decoded.is_empty());
    all
}

mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use parquet::basic::Compression as Codec;
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn parquet(text: &str) -> Vec<u8> {
        let schema = Arc::new(parse_message_type("message m { required binary text (UTF8); }").unwrap());
        let properties = WriterProperties::builder().set_compression(Codec::SNAPPY).build();
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        let mut rows = writer.next_row_group().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[ByteArray::from(text)], None, None).unwrap();
        column.close().unwrap();
        rows.close().unwrap();
        writer.into_inner().unwrap()
    }

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Every way in which a destination could send a text, and what that is called.
    fn disguised(text: &str) -> Vec<(&'static str, Vec<u8>)> {
        let base64 = BASE64_STANDARD.encode(text);
        let record = format!(r#"{{"Records":[{{"Data":"{base64}","PartitionKey":"ses_1"}}]}}"#);
        let percent: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        // A message of gRPC: whether it is compressed, and its length.
        let message = [&[1, 0, 0, 1, 0][..], &gzip(text.as_bytes())].concat();
        vec![
            ("as it is", text.as_bytes().to_vec()),
            ("base64", record.clone().into_bytes()),
            ("base64 for addresses", format!("state={}", BASE64_URL_SAFE_NO_PAD.encode(text)).into_bytes()),
            ("base64 twice", BASE64_STANDARD.encode(&record).into_bytes()),
            ("gzip", gzip(text.as_bytes())),
            ("gzip in a frame", message),
            ("base64 in gzip", gzip(record.as_bytes())),
            ("gzip in base64", BASE64_STANDARD.encode(gzip(text.as_bytes())).into_bytes()),
            ("hexadecimal", hex(text).into_bytes()),
            ("hexadecimal, large", hex(text).to_uppercase().into_bytes()),
            ("hexadecimal in base64", BASE64_STANDARD.encode(hex(text)).into_bytes()),
            ("percent signs", format!("?q={percent}&").into_bytes()),
            ("Parquet", parquet(text)),
            ("base64 in Parquet", parquet(&record)),
        ]
    }

    #[test]
    fn what_gets_out_is_found_in_every_disguise() {
        for word in ["canary-short", "ghp_cAnArY7e42F292c6912E7710c838347Ae178", "correct horse canary"] {
            let search = Search::of([word, "another word"]);
            for before in ["", "a", "ab", "abc"] {
                for (name, bytes) in disguised(&format!("{before}{word} and more")) {
                    let found = search.find(&bytes).unwrap_or_else(|| panic!("{word} behind {before:?}: {name}"));
                    assert!(found.starts_with(word), "{found}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let search = Search::of(["canary-short"]);
        for (name, bytes) in disguised("an innocent text, however long it may become, with canary and short apart") {
            assert_eq!(search.find(&bytes), None, "{name}");
        }
    }
}
