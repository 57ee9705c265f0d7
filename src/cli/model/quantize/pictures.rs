//! The pictures that a network is calibrated and compared with.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use crate::cli::Failure;
use crate::cli::output::say;
use crate::evaluation::{DatasetError, files_below};
use crate::preprocess::{ImageHeader, Pixels, Transform};

/// Files that are no pictures and are named.
const SHOWN: usize = 3;

/// Which files are used for what.
#[derive(Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) calibrating: Vec<PathBuf>,
    pub(super) comparing: Vec<PathBuf>,
}

/// Decodes files as the network is to see them, and keeps what could not be.
pub(super) struct Pictures {
    transform: Transform,
    unreadable: Vec<(PathBuf, String)>,
}

impl Chosen {
    /// Files of a folder, so many for each purpose, from its beginning to its end: where there is a folder for
    /// each class every class has its share.
    pub(super) fn from(folder: &Path, count: NonZeroUsize) -> Result<Self, DatasetError> {
        let files = files_below(folder)?;
        if files.is_empty() {
            return Err(DatasetError::Empty(folder.to_owned()));
        }
        Ok(Self::of(&files, count.get()))
    }

    /// All for both purposes where there are no more than for one.
    fn of(files: &[PathBuf], count: usize) -> Self {
        let all = files.len();
        if all <= count {
            return Self { calibrating: files.to_vec(), comparing: files.to_vec() };
        }
        let kept = all.min(count.saturating_mul(2));
        let mut kept: Vec<PathBuf> =
            (0..kept).map(|index| files[spread(index, kept, all)].clone()).collect();
        let others = kept.len().saturating_sub(count);
        let comparing = (0..others).rev().map(|index| kept.remove(2 * index + 1));
        let mut comparing: Vec<PathBuf> = comparing.collect();
        comparing.reverse();
        Self { calibrating: kept, comparing }
    }

    /// Whether no picture is used twice.
    pub(super) fn apart(&self) -> bool {
        self.calibrating != self.comparing
    }
}

/// The place among `all` of the `index`-th of `kept`.
fn spread(index: usize, kept: usize, all: usize) -> usize {
    let place = index as u128 * all as u128 / kept as u128;
    usize::try_from(place).unwrap_or(all - 1)
}

impl Pictures {
    pub(super) fn of(transform: Transform) -> Self {
        Self { transform, unreadable: Vec::new() }
    }

    /// Does something with each file that is a picture; how many are.
    pub(super) fn each(
        &mut self,
        files: &[PathBuf],
        bar: &ProgressBar,
        mut with: impl FnMut(&Pixels) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut readable = 0;
        for file in files {
            match self.decode(file) {
                Ok(pixels) => {
                    with(&pixels)?;
                    readable += 1;
                }
                Err(cause) if self.unreadable.iter().any(|(known, _)| known == file) => drop(cause),
                Err(cause) => self.unreadable.push((file.clone(), cause)),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        match self.unreadable.first() {
            Some((file, cause)) if readable == 0 => Err(Failure::Incomplete(format!(
                "not one picture could be read; `{}`: {cause}",
                file.display()
            ))),
            _ => Ok(readable),
        }
    }

    fn decode(&self, file: &Path) -> Result<Pixels, String> {
        let bytes = fs::read(file).map_err(|cause| cause.to_string())?;
        let header = ImageHeader::parse(&bytes, u64::MAX).map_err(|cause| cause.to_string())?;
        self.transform.apply(&bytes, &header).map_err(|cause| cause.to_string())
    }

    /// Says which files were of no use.
    pub(super) fn tell_unreadable(&self) -> Result<(), Failure> {
        if self.unreadable.is_empty() {
            return Ok(());
        }
        say!("{} files could not be read as pictures:", self.unreadable.len())?;
        for (file, cause) in self.unreadable.iter().take(SHOWN) {
            say!("  {}: {cause}", file.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: usize, count: usize) -> [Vec<usize>; 2] {
        let files: Vec<PathBuf> = (0..files).map(|index| index.to_string().into()).collect();
        let Chosen { calibrating, comparing } = Chosen::of(&files, count);
        let numbers = |files: Vec<PathBuf>| {
            files.iter().map(|file| file.to_str().unwrap().parse().unwrap()).collect()
        };
        [numbers(calibrating), numbers(comparing)]
    }

    #[test]
    fn pictures_are_taken_from_everywhere_and_none_twice() {
        assert_eq!(chosen(100, 3), [vec![0, 33, 66], vec![16, 50, 83]]);
        assert_eq!(chosen(5, 3), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(chosen(6, 3), [vec![0, 2, 4], vec![1, 3, 5]]);
        assert_eq!(chosen(4, 3), [vec![0, 2, 3], vec![1]]);
    }

    #[test]
    fn a_few_pictures_serve_both_purposes() {
        assert_eq!(chosen(2, 3), [vec![0, 1], vec![0, 1]]);
        assert_eq!(chosen(3, 3), [vec![0, 1, 2], vec![0, 1, 2]]);
    }
}
