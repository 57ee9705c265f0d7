//! Constants whose values are in a file beside the graph's.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::TensorProto;

/// `TensorProto.DataLocation.EXTERNAL`
const EXTERNAL: i32 = 1;

impl TensorProto {
    /// Takes in what lies in a file of the graph's folder; does nothing to a constant that is whole.
    pub(crate) fn embed(&mut self, folder: &Path) -> io::Result<()> {
        if self.data_location != EXTERNAL {
            return Ok(());
        }
        let entry = |key: &str| self.external_data.iter().find(|entry| entry.key == key);
        let number = |key: &str| match entry(key) {
            Some(entry) => entry.value.parse().map(Some).map_err(io::Error::other),
            None => Ok(None),
        };
        let location = entry("location").ok_or(io::ErrorKind::InvalidData)?;
        let mut file = File::open(folder.join(&location.value))?;
        file.seek(SeekFrom::Start(number("offset")?.unwrap_or(0)))?;
        let length: Option<u64> = number("length")?;
        let mut bytes = Vec::new();
        file.take(length.unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        if length.is_some_and(|length| bytes.len() as u64 != length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.raw_data = bytes.into();
        self.external_data.clear();
        self.data_location = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::onnx::{DataType, StringStringEntryProto};

    fn external(entries: &[(&str, &str)]) -> TensorProto {
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        TensorProto {
            dims: vec![2],
            data_type: DataType::Float.into(),
            data_location: EXTERNAL,
            external_data: entries.iter().map(entry).collect(),
            ..TensorProto::default()
        }
    }

    #[test]
    fn values_are_taken_from_their_place_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> =
            [9.0_f32, 1.5, -2.0].iter().flat_map(|one| one.to_le_bytes()).collect();
        std::fs::write(folder.path().join("data"), bytes).unwrap();
        let mut part = external(&[("location", "data"), ("offset", "4"), ("length", "8")]);
        part.embed(folder.path()).unwrap();
        assert_eq!(part.float32_values(), Some(vec![1.5, -2.0]));
        part.embed(Path::new("/nowhere")).unwrap();
        let mut rest = external(&[("location", "data"), ("offset", "4")]);
        rest.embed(folder.path()).unwrap();
        assert_eq!(rest, part);
    }

    #[test]
    fn values_that_are_not_there_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data"), [0; 8]).unwrap();
        for entries in [
            &[("location", "other")][..],
            &[("location", "data"), ("length", "9")],
            &[("location", "data"), ("offset", "four")],
            &[],
        ] {
            assert!(external(entries).embed(folder.path()).is_err(), "{entries:?}");
        }
    }
}
