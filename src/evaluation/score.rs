//! What answers are worth: top-1, top-5, calibration, and which classes are taken for which.

use std::collections::BTreeMap;

use super::calibration::Calibration;
use crate::ranking::Ranked;

/// As many first classes as top-5 looks at.
pub const TOP: usize = 5;

/// The sum of all answers so far.
#[derive(Clone, Debug, Default)]
pub struct Score {
    answers: usize,
    right: usize,
    among_the_first: usize,
    calibration: Calibration,
    classes: BTreeMap<usize, Class>,
}

#[derive(Clone, Debug, Default)]
struct Class {
    answers: usize,
    right: usize,
    /// Answers by the class that was said to be first, where that was wrong.
    taken_for: BTreeMap<usize, usize>,
}

/// How one class fared.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScore {
    /// Its index.
    pub class: usize,
    /// Pictures of it that were answered.
    pub answers: usize,
    /// The share of them whose first class was right.
    pub top1: f64,
    /// What it was taken for, the most frequent first.
    pub confusions: Vec<Confusion>,
}

/// A class that another was taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Confusion {
    /// The wrong class.
    pub class: usize,
    /// How often.
    pub answers: usize,
}

impl Score {
    /// Counts the answer to a picture of `class`: the most probable classes, best first.
    pub fn add(&mut self, class: usize, ranked: &[Ranked]) {
        let Some(first) = ranked.first() else { return };
        let is_right = first.class == class;
        self.answers += 1;
        self.right += usize::from(is_right);
        let among = ranked.iter().take(TOP).any(|ranked| ranked.class == class);
        self.among_the_first += usize::from(among);
        self.calibration.add(f64::from(first.probability), is_right);
        let of_class = self.classes.entry(class).or_default();
        of_class.answers += 1;
        if is_right {
            of_class.right += 1;
        } else {
            *of_class.taken_for.entry(first.class).or_default() += 1;
        }
    }

    /// Answers that were counted.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// The share whose first class was right; 0 of none.
    #[must_use]
    pub fn top1(&self) -> f64 {
        share(self.right, self.answers)
    }

    /// The same where so many more count as wrong.
    #[must_use]
    pub fn top1_with_wrong(&self, more: usize) -> f64 {
        share(self.right, self.answers + more)
    }

    /// The share whose class was among the first five; 0 of none.
    #[must_use]
    pub fn top5(&self) -> f64 {
        share(self.among_the_first, self.answers)
    }

    /// The expected calibration error of the first classes.
    #[must_use]
    pub fn calibration_error(&self) -> f64 {
        self.calibration.error()
    }

    /// Every class of which there were pictures, the worst first.
    #[must_use]
    pub fn classes(&self) -> Vec<ClassScore> {
        let mut classes: Vec<_> = self.classes.iter().map(|(class, of)| of.score(*class)).collect();
        classes.sort_by(|a, b| a.top1.total_cmp(&b.top1).then(a.class.cmp(&b.class)));
        classes
    }
}

impl Class {
    fn score(&self, class: usize) -> ClassScore {
        let confusion =
            |(class, answers): (&usize, &usize)| Confusion { class: *class, answers: *answers };
        let mut confusions: Vec<_> = self.taken_for.iter().map(confusion).collect();
        confusions.sort_by(|a, b| b.answers.cmp(&a.answers).then(a.class.cmp(&b.class)));
        ClassScore {
            class,
            answers: self.answers,
            top1: share(self.right, self.answers),
            confusions,
        }
    }
}

/// A part of a whole; of nothing, nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of pictures are far below 2^52")]
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranked classes, each half as probable as the one before.
    fn answer(classes: &[usize]) -> Vec<Ranked> {
        let mut probability = 1.0;
        let rank = |class: &usize| {
            probability /= 2.0;
            Ranked { class: *class, probability }
        };
        classes.iter().map(rank).collect()
    }

    fn score(answers: &[(usize, &[usize])]) -> Score {
        let mut score = Score::default();
        for (class, ranked) in answers {
            score.add(*class, &answer(ranked));
        }
        score
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn the_first_class_counts_for_top_1_and_the_first_five_for_top_5() {
        let score =
            score(&[(1, &[1, 2]), (1, &[2, 1]), (1, &[2, 3, 4, 5, 1]), (1, &[2, 3, 4, 5, 6, 1])]);
        assert!(close(score.top1(), 0.25) && close(score.top5(), 0.75));
        assert_eq!(score.answers(), 4);
    }

    #[test]
    fn of_no_answers_everything_is_zero() {
        let score = Score::default();
        assert!(close(score.top1() + score.top5() + score.calibration_error(), 0.0));
    }

    #[test]
    fn the_worst_classes_come_first_with_what_they_are_taken_for() {
        let score =
            score(&[(7, &[7]), (3, &[5]), (3, &[4]), (3, &[5]), (3, &[3]), (5, &[5]), (5, &[3])]);
        let classes = score.classes();
        let order: Vec<(usize, usize)> =
            classes.iter().map(|one| (one.class, one.answers)).collect();
        assert_eq!(order, [(3, 4), (5, 2), (7, 1)]);
        let taken_for = [Confusion { class: 5, answers: 2 }, Confusion { class: 4, answers: 1 }];
        assert_eq!(classes[0].confusions, taken_for);
        assert!(close(classes[0].top1, 0.25));
    }

    #[test]
    fn calibration_looks_at_the_first_class() {
        assert!(close(score(&[(1, &[1, 2])]).calibration_error(), 0.5));
    }
}
