//! One step of a plan: a migration at one place, or at all of its places if it is applied everywhere or nowhere.

use super::definition::Place;

/// A step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    /// The number of the migration in the order of all.
    pub(crate) migration: usize,
    /// Where; more than one only for migrations that are atomic.
    pub(crate) places: Vec<Place>,
    /// The steps that must have succeeded.
    pub(crate) needs: Vec<usize>,
    /// The steps at the same place that must have ended.
    pub(crate) follows: Vec<usize>,
}

/// Where a step of a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Open,
    Running,
    Done,
    Failed,
}

/// Tells which step of a plan comes next.
pub(crate) struct Schedule<'a> {
    units: &'a [Unit],
    progress: Vec<Progress>,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(units: &'a [Unit]) -> Self {
        Self { units, progress: vec![Progress::Open; units.len()] }
    }

    /// The next step that may begin. Those that need one that failed never do.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let next = (0..self.units.len()).find(|at| self.is_ready(*at))?;
        self.set(next, Progress::Running);
        Some(next)
    }

    pub(crate) fn ended(&mut self, at: usize, succeeded: bool) {
        self.set(at, if succeeded { Progress::Done } else { Progress::Failed });
    }

    /// The steps that never begin, because one that they need has failed.
    pub(crate) fn barred(&self) -> impl Iterator<Item = usize> {
        (0..self.units.len()).filter(|at| self.is_barred(*at))
    }

    fn set(&mut self, at: usize, progress: Progress) {
        if let Some(place) = self.progress.get_mut(at) {
            *place = progress;
        }
    }

    fn is_ready(&self, at: usize) -> bool {
        let is = |at: &usize, wanted: &[Progress]| {
            self.progress.get(*at).is_some_and(|each| wanted.contains(each))
        };
        let Some(unit) = self.units.get(at) else { return false };
        // A step that can never begin is no obstacle for those after it.
        let is_over =
            |before: &usize| is(before, &[Progress::Done, Progress::Failed]) || self.is_barred(*before);
        is(&at, &[Progress::Open])
            && unit.needs.iter().all(|needed| is(needed, &[Progress::Done]))
            && unit.follows.iter().all(is_over)
    }

    fn is_barred(&self, at: usize) -> bool {
        let is_open = self.progress.get(at) == Some(&Progress::Open);
        let has_failed =
            |needed: &usize| self.progress.get(*needed) == Some(&Progress::Failed) || self.is_barred(*needed);
        is_open && self.units.get(at).is_some_and(|unit| unit.needs.iter().any(has_failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(needs: &[usize], follows: &[usize]) -> Unit {
        Unit { migration: 0, places: Vec::new(), needs: needs.to_vec(), follows: follows.to_vec() }
    }

    #[test]
    fn what_needs_a_failure_never_begins_and_what_only_follows_it_does() {
        let units = [unit(&[], &[]), unit(&[0], &[0]), unit(&[], &[1]), unit(&[], &[])];
        let mut schedule = Schedule::new(&units);
        assert_eq!((schedule.next(), schedule.next(), schedule.next()), (Some(0), Some(3), None));
        schedule.ended(0, false);
        assert_eq!((schedule.next(), schedule.next()), (Some(2), None));
        assert_eq!(schedule.barred().collect::<Vec<_>>(), [1]);
    }
}
