//! Reads the files that settings name: keys and certificates. Only a regular file is read, up to a size that none of these has: a
//! device would never end, and a pipe would wait for somebody to write.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// In bytes.
const LARGEST: u64 = 16 << 20;

/// Returns what is in a file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(io::Error::other("it has more than 16 MB")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let directory = std::env::temp_dir().join(format!("hydra-files-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let (small, large) = (directory.join("small"), directory.join("large"));
        fs::write(&small, "text").unwrap();
        File::create(&large).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(read(&small).unwrap(), b"text");
        for (path, why) in [
            (large.as_path(), "it has more than 16 MB"),
            (Path::new("/dev/zero"), "it is not a regular file"),
            (directory.as_path(), "it is not a regular file"),
        ] {
            assert_eq!(read(path).unwrap_err().to_string(), why, "{path:?}");
        }
        assert_eq!(read(&directory.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(&directory).unwrap();
    }
}
