//! What Baton makes itself: silence, music, prompts.

use std::sync::Arc;

use crate::{Clip, PlayId, Playlist, Then};

/// Baton's own sound for one leg.
#[derive(Debug, Clone, Default)]
pub(crate) struct Player {
    piece: Piece,
    /// Where the music goes on.
    music_at: usize,
}

#[derive(Debug, Clone, Default)]
enum Piece {
    #[default]
    Silence,
    Music,
    List(Playing),
}

#[derive(Debug, Clone)]
struct Playing {
    list: Playlist,
    clip: usize,
    at: usize,
    started: bool,
    ended: bool,
}

/// What happened within a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Played {
    /// The frame is not just silence.
    pub(crate) is_sound: bool,
    /// The first sound of this playlist is in it.
    pub(crate) started: Option<PlayId>,
    /// The last clip of this playlist ends in it.
    pub(crate) ended: Option<PlayId>,
}

impl Player {
    /// Plays silence from now on.
    pub(crate) fn silence(&mut self) {
        self.piece = Piece::Silence;
    }

    /// Plays music from now on.
    pub(crate) fn music(&mut self) {
        self.piece = Piece::Music;
    }

    /// Plays a list from its beginning, unless it is the one that is being played, or that was and is over.
    pub(crate) fn play(&mut self, list: Playlist) {
        if !matches!(&self.piece, Piece::List(playing) if playing.list.id == list.id) {
            self.piece = Piece::List(Playing { list, clip: 0, at: 0, started: false, ended: false });
        }
    }

    /// Fills a frame.
    pub(crate) fn fill(&mut self, frame: &mut [i16], music: &Clip) -> Played {
        frame.fill(0);
        match &mut self.piece {
            Piece::Silence => Played::default(),
            Piece::Music => Played { is_sound: loop_into(frame, &mut self.music_at, music), ..Played::default() },
            Piece::List(playing) => playing.fill(frame, &mut self.music_at, music),
        }
    }
}

impl Playing {
    fn fill(&mut self, frame: &mut [i16], music_at: &mut usize, music: &Clip) -> Played {
        let (had_started, had_ended) = (self.started, self.ended);
        let mut filled = 0;
        while filled < frame.len() && !self.ended {
            filled += self.copy(&mut frame[filled..]);
        }
        self.started |= self.ended || frame[..filled].iter().any(|sample| sample.unsigned_abs() >= Clip::AUDIBLE);
        let mut is_sound = filled > 0;
        if self.ended && self.list.then == Then::Music {
            is_sound |= loop_into(&mut frame[filled..], music_at, music);
        }
        let id = self.list.id;
        Played {
            is_sound,
            started: (self.started && !had_started).then_some(id),
            ended: (self.ended && !had_ended).then_some(id),
        }
    }

    /// Copies what is left of a clip, as far as it fits; goes on to the next one where it ends.
    fn copy(&mut self, frame: &mut [i16]) -> usize {
        let clip = self.list.clips.get(self.clip).map(Arc::as_ref).map_or(&[] as &[i16], Clip::samples);
        let rest = clip.get(self.at..).unwrap_or(&[]);
        let copied = rest.len().min(frame.len());
        frame[..copied].copy_from_slice(&rest[..copied]);
        self.at += copied;
        if copied == rest.len() {
            (self.clip, self.at) = (self.clip + 1, 0);
        }
        if self.clip >= self.list.clips.len() {
            let repeats = self.list.then == Then::Repeat && self.list.clips.iter().any(|clip| !clip.samples().is_empty());
            if repeats { self.clip = 0 } else { self.ended = true }
        }
        copied
    }
}

/// Fills a frame from a clip that begins again where it ends; says whether there was anything.
fn loop_into(frame: &mut [i16], at: &mut usize, clip: &Clip) -> bool {
    let samples = clip.samples();
    if samples.is_empty() {
        return false;
    }
    for slot in frame.iter_mut() {
        *at %= samples.len();
        *slot = samples[*at];
        *at += 1;
    }
    !frame.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(value: i16, samples: usize) -> Arc<Clip> {
        Arc::new(Clip::new("clip", vec![value; samples]))
    }

    fn list(id: u64, clips: Vec<Arc<Clip>>, then: Then) -> Playlist {
        Playlist { id: PlayId(id), clips, then }
    }

    fn frames(player: &mut Player, count: usize) -> Vec<([i16; 4], Played)> {
        let music = Clip::new("music", vec![7, 8, 9]);
        let mut frame = [0; 4];
        (0..count).map(|_| (player.fill(&mut frame, &music), frame)).map(|(played, frame)| (frame, played)).collect()
    }

    #[test]
    fn clips_follow_each_other_without_a_gap_and_music_after_them() {
        let mut player = Player::default();
        player.play(list(1, vec![clip(1_000, 3), clip(2_000, 2)], Then::Music));
        let heard = frames(&mut player, 3);
        assert_eq!(heard[0], ([1_000, 1_000, 1_000, 2_000], Played { is_sound: true, started: Some(PlayId(1)), ended: None }));
        assert_eq!(heard[1], ([2_000, 7, 8, 9], Played { is_sound: true, started: None, ended: Some(PlayId(1)) }));
        assert_eq!(heard[2], ([7, 8, 9, 7], Played { is_sound: true, started: None, ended: None }));
    }

    #[test]
    fn the_list_that_is_playing_goes_on_and_another_begins() {
        let mut player = Player::default();
        player.play(list(1, vec![clip(1_000, 6)], Then::Silence));
        frames(&mut player, 1);
        player.play(list(1, vec![clip(1_000, 6)], Then::Silence));
        assert_eq!(frames(&mut player, 1)[0].0, [1_000, 1_000, 0, 0]);
        player.play(list(1, vec![clip(1_000, 6)], Then::Silence));
        assert_eq!(frames(&mut player, 1)[0].1, Played::default());
        player.play(list(2, vec![clip(3_000, 6)], Then::Silence));
        assert_eq!(frames(&mut player, 1)[0].0, [3_000; 4]);
    }

    #[test]
    fn the_first_sound_starts_a_list_not_its_first_packet() {
        let mut player = Player::default();
        player.play(list(1, vec![clip(0, 4), clip(5_000, 4)], Then::Silence));
        let heard = frames(&mut player, 2);
        assert_eq!((heard[0].1.started, heard[1].1.started), (None, Some(PlayId(1))));
    }

    #[test]
    fn an_empty_list_is_over_at_once_and_never_repeats() {
        for then in [Then::Silence, Then::Repeat] {
            let mut player = Player::default();
            player.play(list(1, vec![clip(1, 0)], then));
            let heard = frames(&mut player, 2);
            assert_eq!(heard[0].1, Played { is_sound: false, started: Some(PlayId(1)), ended: Some(PlayId(1)) });
            assert_eq!(heard[1].1, Played::default());
        }
    }

    #[test]
    fn music_goes_on_where_it_was_left() {
        let mut player = Player::default();
        player.music();
        frames(&mut player, 1);
        player.play(list(1, vec![clip(1_000, 4)], Then::Silence));
        frames(&mut player, 1);
        player.music();
        assert_eq!(frames(&mut player, 1)[0].0, [8, 9, 7, 8]);
    }

    #[test]
    fn music_that_is_empty_is_silence() {
        let mut player = Player::default();
        player.music();
        assert_eq!(player.fill(&mut [1; 4], &Clip::new("none", vec![])), Played::default());
    }
}
