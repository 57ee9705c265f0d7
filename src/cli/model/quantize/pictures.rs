//! The pictures that a network is calibrated and compared with.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use crate::cli::output::say;
use crate::cli::{Failure, progress};
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

/// Pictures of a folder, decoded as the network is to see them, and the files that are none.
pub(super) struct Pictures {
    pub(super) chosen: Chosen,
    unreadable: Unreadable,
}

impl Chosen {
    /// So many for each purpose, from the first to the last: where there is a folder for each class, every class
    /// has its share. Where there are too few, those of the calibration are compared too.
    fn of(pictures: &[PathBuf], count: usize) -> Self {
        if pictures.len() < count.saturating_mul(2) {
            return Self { calibrating: spread(pictures, count), comparing: pictures.to_vec() };
        }
        let both = spread(pictures, count * 2).into_iter().enumerate();
        let (even, odd): (Vec<_>, Vec<_>) = both.partition(|(index, _)| index % 2 == 0);
        let files =
            |numbered: Vec<(usize, PathBuf)>| numbered.into_iter().map(|(_, file)| file).collect();
        Self { calibrating: files(even), comparing: files(odd) }
    }

    /// What the compared pictures are, after their number.
    pub(super) fn compared(&self) -> &'static str {
        if self.comparing == self.calibrating {
            "pictures, those of the calibration"
        } else if self.comparing.contains(&self.calibrating[0]) {
            "pictures, among them those of the calibration"
        } else {
            "other pictures"
        }
    }
}

/// At most so many, evenly from the first on.
fn spread(files: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let (all, kept) = (files.len() as u128, files.len().min(count));
    let place = |index: usize| usize::try_from(index as u128 * all / kept as u128).unwrap_or(0);
    (0..kept).map(|index| files[place(index)].clone()).collect()
}

impl Pictures {
    /// Those of a folder: up to so many to calibrate with, and as many to compare with.
    pub(super) fn find(folder: &Path, count: NonZeroUsize) -> Result<Self, Failure> {
        let files = files_below(folder).map_err(Failure::config)?;
        if files.is_empty() {
            return Err(Failure::config(DatasetError::Empty(folder.to_owned())));
        }
        let (mut pictures, mut unreadable) = (Vec::new(), Vec::new());
        for file in spread(&files, count.get().saturating_mul(2)) {
            match read(&file) {
                Ok(_) => pictures.push(file),
                Err(cause) => unreadable.push((file, cause)),
            }
        }
        match unreadable.first() {
            Some((file, cause)) if pictures.is_empty() => Err(none_readable(file, cause)),
            _ => Ok(Self { chosen: Chosen::of(&pictures, count.get()), unreadable }),
        }
    }

    /// Does something with each picture to calibrate with; how many could be decoded.
    pub(super) fn calibrate(
        &mut self,
        transform: Transform,
        with: impl FnMut(&Pixels) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let bar = progress::pictures(self.chosen.calibrating.len()).with_message("calibrating");
        let (count, unreadable) = each(&self.chosen.calibrating, (transform, &bar), with)?;
        match unreadable.first() {
            Some((file, cause)) if count == 0 => return Err(none_readable(file, cause)),
            _ => self.unreadable.extend(unreadable),
        }
        Ok(count)
    }

    /// Does something with each picture to compare with.
    pub(super) fn compare(
        &self,
        transform: Transform,
        with: impl FnMut(&Pixels) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let bar = progress::pictures(self.chosen.comparing.len()).with_message("comparing");
        each(&self.chosen.comparing, (transform, &bar), with).map(drop)
    }

    /// Says which files were of no use.
    pub(super) fn tell_unreadable(&self) -> Result<(), Failure> {
        match self.unreadable.len() {
            0 => return Ok(()),
            1 => say!("1 file could not be read as a picture:")?,
            count => say!("{count} files could not be read as pictures:")?,
        }
        for (file, cause) in self.unreadable.iter().take(SHOWN) {
            say!("  {}: {cause}", file.display())?;
        }
        Ok(())
    }
}

/// Files that are of no use, each with what is wrong.
type Unreadable = Vec<(PathBuf, String)>;

/// Does something with each file that can be decoded; how many can.
fn each(
    files: &[PathBuf],
    (transform, bar): (Transform, &ProgressBar),
    mut with: impl FnMut(&Pixels) -> Result<(), Failure>,
) -> Result<(usize, Unreadable), Failure> {
    let (mut count, mut unreadable) = (0, Vec::new());
    for file in files {
        let decoded = read(file).and_then(|(bytes, header)| {
            transform.apply(&bytes, &header).map_err(|cause| cause.to_string())
        });
        match decoded {
            Ok(pixels) => {
                with(&pixels)?;
                count += 1;
            }
            Err(cause) => unreadable.push((file.clone(), cause)),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((count, unreadable))
}

fn read(file: &Path) -> Result<(Vec<u8>, ImageHeader), String> {
    let bytes = fs::read(file).map_err(|cause| cause.to_string())?;
    let header = ImageHeader::parse(&bytes, u64::MAX).map_err(|cause| cause.to_string())?;
    Ok((bytes, header))
}

fn none_readable(file: &Path, cause: &str) -> Failure {
    let file = file.display();
    Failure::Incomplete(format!("not one picture could be read; `{file}`: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: usize, count: usize) -> ([Vec<usize>; 2], &'static str) {
        let files: Vec<PathBuf> = (0..files).map(|index| index.to_string().into()).collect();
        let chosen = Chosen::of(&files, count);
        let numbers = |files: &[PathBuf]| {
            files.iter().map(|file| file.to_str().unwrap().parse().unwrap()).collect()
        };
        ([numbers(&chosen.calibrating), numbers(&chosen.comparing)], chosen.compared())
    }

    #[test]
    fn pictures_are_taken_from_everywhere_and_none_twice() {
        assert_eq!(chosen(100, 3), ([vec![0, 33, 66], vec![16, 50, 83]], "other pictures"));
        assert_eq!(chosen(6, 3), ([vec![0, 2, 4], vec![1, 3, 5]], "other pictures"));
    }

    #[test]
    fn too_few_pictures_are_all_compared_and_that_is_told() {
        let said = "pictures, those of the calibration";
        assert_eq!(chosen(2, 3), ([vec![0, 1], vec![0, 1]], said));
        assert_eq!(chosen(3, 3), ([vec![0, 1, 2], vec![0, 1, 2]], said));
        let said = "pictures, among them those of the calibration";
        assert_eq!(chosen(5, 3), ([vec![0, 1, 3], vec![0, 1, 2, 3, 4]], said));
    }
}
