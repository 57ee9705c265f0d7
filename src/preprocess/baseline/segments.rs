//! The segments before the picture's data: its size, its components and their tables.

use std::ops::RangeInclusive;

use super::super::header::ImageHeader;
use super::codes::Kind;

const START_OF_IMAGE: u8 = 0xd8;
const BASELINE_FRAME: u8 = 0xc0;
const HUFFMAN_TABLES: u8 = 0xc4;
const QUANTIZATION_TABLES: u8 = 0xdb;
const RESTART_INTERVAL: u8 = 0xdd;
const START_OF_SCAN: u8 = 0xda;
pub(super) const END_OF_IMAGE: u8 = 0xd9;
const JFIF: u8 = 0xe0;
const ADOBE: u8 = 0xee;
/// What applications add, and comments: the only other segments that decoders may pass over.
const APPLICATIONS: RangeInclusive<u8> = 0xe0..=0xef;
const COMMENT: u8 = 0xfe;

/// Bytes of JFIF's segment; shorter ones do not count.
const JFIF_LENGTH: usize = 14;

/// Places for Huffman tables in a baseline file: two for DC coefficients, two for AC coefficients.
const TABLES: usize = 2;

/// Words in each kind of them, at most: all sizes, and all runs with all sizes and two words of their own.
const DC_WORDS: usize = 12;
const AC_WORDS: usize = 162;

/// Places for quantization tables.
const QUANTIZATION_SLOTS: usize = 4;

/// A JPEG in one baseline scan, grey or YCbCr, as cameras and most encoders write it.
pub struct Baseline<'a> {
    pub(super) components: Vec<Component<'a>>,
    /// Blocks of 8 by 8 pixels that an MCU covers: across and down.
    pub(super) mcu: [u32; 2],
    pub(super) height: u32,
    pub(super) width: u32,
    /// MCUs between restarts; `None` where there are none.
    pub(super) restart_interval: Option<u32>,
    dc_tables: Tables<'a>,
    ac_tables: Tables<'a>,
    pub(super) entropy: &'a [u8],
}

type Tables<'a> = [Option<Table<'a>>; TABLES];

/// How many code words have each length, and what they stand for.
#[derive(Clone, Copy)]
struct Table<'a> {
    counts: &'a [u8; 16],
    symbols: &'a [u8],
}

pub(super) struct Component<'a> {
    id: u8,
    /// Its blocks in each MCU: across and down.
    pub(super) blocks: [u32; 2],
    /// Which of the tables are its own.
    dc_table: usize,
    ac_table: usize,
    /// Its quantization table, in the order of the file.
    pub(super) quantization: &'a [u8; 64],
}

/// What was made of each table.
pub(super) struct ByTable<T> {
    dc: [Option<T>; TABLES],
    ac: [Option<T>; TABLES],
}

/// What is known before the scan.
#[derive(Default)]
struct Head<'a> {
    frame: Option<Frame>,
    restart_interval: Option<u32>,
    dc_tables: Tables<'a>,
    ac_tables: Tables<'a>,
    quantizations: [Option<&'a [u8; 64]>; QUANTIZATION_SLOTS],
    is_jfif: bool,
    /// What Adobe's segment says of the colours; 1 means YCbCr.
    adobe: Option<u8>,
}

struct Frame {
    height: u32,
    width: u32,
    components: Vec<Declared>,
}

/// A component as the frame has it.
struct Declared {
    id: u8,
    /// Its sampling.
    blocks: [u32; 2],
    quantization: usize,
}

impl<'a> Baseline<'a> {
    /// Reads what stands before the scan; `None` for every file of another kind.
    #[must_use]
    pub fn read(file: &'a [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(&[0xff, START_OF_IMAGE])?;
        let mut head = Head::default();
        loop {
            let (marker, body, after) = segment(rest)?;
            match marker {
                START_OF_SCAN => return head.scan(body, after),
                START_OF_IMAGE | END_OF_IMAGE => return None,
                _ => head.read(marker, body)?,
            }
            rest = after;
        }
    }

    /// The same, and `None` as well where the picture is not of the size that the header says.
    #[must_use]
    pub fn of(file: &'a [u8], header: &ImageHeader) -> Option<Self> {
        let size = (header.height(), header.width());
        Self::read(file).filter(|baseline| (baseline.height, baseline.width) == size)
    }

    /// What `build` makes of the tables, also of those that nothing uses, and which of them each component's
    /// DC and AC coefficients have; `None` where one is impossible.
    pub(super) fn tables<T>(
        &self,
        build: impl Fn(&'a [u8; 16], &'a [u8], Kind) -> Option<T>,
    ) -> Option<ByTable<T>> {
        let made = |tables: &Tables<'a>, kind| {
            let [first, second] = tables.map(|table| match table {
                Some(Table { counts, symbols }) => build(counts, symbols, kind).map(Some),
                None => Some(None),
            });
            Some([first?, second?])
        };
        Some(ByTable { dc: made(&self.dc_tables, Kind::Dc)?, ac: made(&self.ac_tables, Kind::Ac)? })
    }

    /// MCUs in a row of the picture, and rows of them.
    pub(super) fn mcus(&self) -> [u32; 2] {
        let [across, down] = self.mcu;
        [self.width.div_ceil(8 * across), self.height.div_ceil(8 * down)]
    }
}

impl<T> ByTable<T> {
    /// Those of a component's DC and AC coefficients.
    pub(super) fn of(&self, component: &Component<'_>) -> Option<[&T; 2]> {
        let dc = self.dc[component.dc_table].as_ref()?;
        Some([dc, self.ac[component.ac_table].as_ref()?])
    }
}

/// The next segment's marker, its body, and what follows it. Bytes to fill up before it are allowed and
/// rare, and not taken here.
fn segment(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&marker, bytes) = bytes.strip_prefix(&[0xff])?.split_first()?;
    let length = usize::from(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?));
    Some((marker, bytes.get(2..length)?, &bytes[length..]))
}

impl<'a> Head<'a> {
    fn read(&mut self, marker: u8, body: &'a [u8]) -> Option<()> {
        match marker {
            BASELINE_FRAME if self.frame.is_none() => self.frame = Some(frame(body)?),
            HUFFMAN_TABLES => self.add_tables(body)?,
            QUANTIZATION_TABLES => self.add_quantizations(body)?,
            RESTART_INTERVAL if self.restart_interval.is_none() => {
                let mcus = u16::from_be_bytes(body.try_into().ok()?);
                self.restart_interval = (mcus > 0).then_some(mcus.into());
            }
            JFIF => self.is_jfif |= body.starts_with(b"JFIF\0") && body.len() >= JFIF_LENGTH,
            ADOBE if body.starts_with(b"Adobe") => self.adobe = Some(*body.get(11)?),
            COMMENT => {}
            marker if APPLICATIONS.contains(&marker) => {}
            // Frames of other kinds, and what decoders need not understand in the same way.
            _ => return None,
        }
        Some(())
    }

    /// Tables of 8 bits, without zeros, each in a place of its own.
    fn add_quantizations(&mut self, body: &'a [u8]) -> Option<()> {
        let (tables, rest) = body.as_chunks::<65>();
        for [place, steps @ ..] in tables {
            let table = self.quantizations.get_mut(usize::from(*place))?;
            if table.is_some() || steps.contains(&0) {
                return None;
            }
            *table = Some(steps);
        }
        rest.is_empty().then_some(())
    }

    fn add_tables(&mut self, mut body: &'a [u8]) -> Option<()> {
        while let Some((&place, after)) = body.split_first() {
            let (counts, after) = after.split_first_chunk::<16>()?;
            let words = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, after) = after.split_at_checked(words)?;
            let (tables, most) = match place >> 4 {
                0 => (&mut self.dc_tables, DC_WORDS),
                1 => (&mut self.ac_tables, AC_WORDS),
                _ => return None,
            };
            let table = tables.get_mut(usize::from(place & 0xf)).filter(|table| table.is_none())?;
            *table = (words <= most).then_some(Table { counts, symbols });
            table.as_ref()?;
            body = after;
        }
        Some(())
    }

    fn scan(self, body: &[u8], entropy: &'a [u8]) -> Option<Baseline<'a>> {
        let frame = self.frame.as_ref()?;
        let (&count, body) = body.split_first()?;
        let (chosen, ends) = body.split_at_checked(2 * usize::from(count))?;
        if usize::from(count) != frame.components.len() || ends != [0, 63, 0] {
            return None;
        }
        let component = |(declared, chosen): (&Declared, &[u8])| {
            let &Declared { id, blocks, quantization } = declared;
            let (dc_table, ac_table) = (usize::from(chosen[1] >> 4), usize::from(chosen[1] & 0xf));
            let quantization = (*self.quantizations.get(quantization)?)?;
            let fits = chosen[0] == id && dc_table < TABLES && ac_table < TABLES;
            fits.then_some(Component { id, blocks, dc_table, ac_table, quantization })
        };
        let components = frame
            .components
            .iter()
            .zip(chosen.chunks(2))
            .map(component)
            .collect::<Option<Vec<_>>>()?;
        let mcu = usual_sampling(&components)?;
        self.has_usual_colors(&components).then_some(Baseline {
            components,
            mcu,
            height: frame.height,
            width: frame.width,
            restart_interval: self.restart_interval,
            dc_tables: self.dc_tables,
            ac_tables: self.ac_tables,
            entropy,
        })
    }

    /// Grey, or YCbCr beyond doubt: decoders guess differently where nothing says so.
    fn has_usual_colors(&self, components: &[Component<'_>]) -> bool {
        let ids: Vec<u8> = components.iter().map(|component| component.id).collect();
        match (&ids[..], self.adobe) {
            ([_], _) => true,
            ([one, two, three], _) if one == two || two == three || one == three => false,
            (_, Some(transform)) => transform == 1,
            (ids, None) => self.is_jfif || ids == [1, 2, 3],
        }
    }
}

fn frame(body: &[u8]) -> Option<Frame> {
    let (&[precision, h0, h1, w0, w1, count], components) = body.split_first_chunk::<6>()?;
    let (height, width) = (u16::from_be_bytes([h0, h1]), u16::from_be_bytes([w0, w1]));
    let fits =
        precision == 8 && height > 0 && width > 0 && components.len() == 3 * usize::from(count);
    let component = |of: &[u8]| Declared {
        id: of[0],
        blocks: [u32::from(of[1] >> 4), u32::from(of[1] & 0xf)],
        quantization: usize::from(of[2]),
    };
    fits.then(|| Frame {
        height: height.into(),
        width: width.into(),
        components: components.chunks(3).map(component).collect(),
    })
}

/// The blocks of an MCU: one, or those of 4:4:4, 4:2:2 or 4:2:0.
fn usual_sampling(components: &[Component<'_>]) -> Option<[u32; 2]> {
    let blocks: Vec<[u32; 2]> = components.iter().map(|component| component.blocks).collect();
    match blocks[..] {
        [[1, 1]] => Some([1, 1]),
        [unit @ ([1 | 2, 1] | [2, 2]), [1, 1], [1, 1]] => Some(unit),
        _ => None,
    }
}
