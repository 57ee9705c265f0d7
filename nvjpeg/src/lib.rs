//! The JPEG unit of NVIDIA's GPUs, which decodes while the GPU's and the machine's cores do
//! something else. The A100, the H100 and newer ones for data centres have it. The GPU's own cores then resize
//! what it has decoded, and only the part that is wanted leaves the GPU.
//!
//! NVIDIA's libraries, `libnvjpeg`, `libcudart` and `libcuda`, are loaded when the first [`Decoder`] is made;
//! nothing needs them before.
//!
//! **The unit reports no picture that is cut off or broken**: the rest of it shows what the memory held before,
//! which is the end of another picture. Whoever uses its pixels must know that the file is whole.

mod error;
mod functions;
mod job;
mod kernels;
mod layout;

use std::ffi::{c_int, c_uint};
use std::{ptr, slice};

use error::done;
use functions::{Functions, Image, Opaque};
use kernels::{Kernels, Work};
use layout::Layout;

pub use error::Error;
pub use job::{Job, Picture, Weights};
pub use layout::ALIGNMENT;

/// `NVJPEG_BACKEND_HARDWARE`
const HARDWARE: c_int = 3;
/// `NVJPEG_FLAGS_BITSTREAM_STRICT`
const STRICT: c_uint = 1 << 2;
/// `NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION`
const INTERPOLATING: c_uint = 1 << 5;
/// `NVJPEG_OUTPUT_RGBI`
const RGB_INTERLEAVED: c_int = 5;
/// `NVJPEG_CSS_444` and `NVJPEG_CSS_GRAY`: there is no colour to interpolate.
const WHOLE_COLOR: [c_int; 2] = [0, 6];
/// What the pixels are before the unit writes them, so that a picture that it has left out shows.
const UNWRITTEN: u8 = 0xab;
/// `cudaMemcpyHostToDevice` and `cudaMemcpyDeviceToHost`
const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;
/// Bytes for what the kernels are told of a batch.
const TOLD_BYTES: usize = 4 << 20;

/// How colours that are stored at half the resolution become whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colors {
    /// Between their neighbours, as libjpeg-turbo does; the unit takes twice the time for it.
    Interpolated,
    /// Each for its two or four pixels.
    Repeated,
}

/// The unit, as one thread uses it, with memory for a batch. Two of them keep it busy while one copies.
pub struct Decoder {
    functions: &'static Functions,
    /// For pictures of which nothing is interpolated, and for the others.
    sessions: [Session; 2],
    colors: Colors,
    kernels: Kernels,
    stream: Opaque,
    on_device: Opaque,
    told: Opaque,
    in_memory: *mut u8,
    capacity: Capacity,
    /// Nothing in the device's block looks as if the unit had written it.
    is_clear: bool,
}

/// The most bytes of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacity {
    /// The decoded pictures, what is between the two passes of a resize, the results, and [`ALIGNMENT`] for
    /// each of these.
    pub on_device: usize,
    /// The results, and [`ALIGNMENT`] for each.
    pub in_memory: usize,
}

/// nvJPEG's handle and state, null until they are made.
struct Session {
    handle: Opaque,
    state: Opaque,
    /// The size that the state is made for.
    batch: usize,
}

/// What nvJPEG is given for one batch, an item for each picture.
#[derive(Default)]
struct Batch {
    data: Vec<*const u8>,
    lengths: Vec<usize>,
    images: Vec<Image>,
}

impl Decoder {
    /// A decoder on that GPU.
    ///
    /// # Errors
    ///
    /// Where NVIDIA's libraries, a GPU or its JPEG unit are missing.
    pub fn new(device: u16, capacity: Capacity, colors: Colors) -> Result<Self, Error> {
        let functions = Functions::loaded()?;
        let session = || Session { handle: ptr::null_mut(), state: ptr::null_mut(), batch: 0 };
        let mut decoder = Self {
            functions,
            sessions: [session(), session()],
            colors,
            kernels: Kernels::UNLOADED,
            stream: ptr::null_mut(),
            on_device: ptr::null_mut(),
            told: ptr::null_mut(),
            in_memory: ptr::null_mut(),
            capacity,
            is_clear: false,
        };
        decoder.open(device.into())?;
        Ok(decoder)
    }

    fn open(&mut self, device: c_int) -> Result<(), Error> {
        let Self { functions, capacity, .. } = self;
        let (mut devices, mut host) = (0, ptr::null_mut());
        // SAFETY: the pointers lead to fields of their types, which outlive the calls.
        unsafe {
            let counted = (functions.device_count)(&raw mut devices);
            if counted != 0 || device >= devices {
                return Err(Error::NoGpu);
            }
            done("cudaSetDevice", (functions.set_device)(device))?;
            done("cudaStreamCreate", (functions.stream_create)(&raw mut self.stream))?;
            done("cudaMalloc", (functions.malloc)(&raw mut self.on_device, capacity.on_device))?;
            done("cudaMalloc", (functions.malloc)(&raw mut self.told, TOLD_BYTES))?;
            done("cudaMallocHost", (functions.malloc_host)(&raw mut host, capacity.in_memory))?;
            // So that it may be read.
            ptr::write_bytes(host.cast::<u8>(), 0, capacity.in_memory);
        }
        self.in_memory = host.cast();
        let flags: &[c_uint] = match self.colors {
            Colors::Interpolated => &[STRICT, STRICT | INTERPOLATING],
            Colors::Repeated => &[STRICT],
        };
        for (session, flags) in self.sessions.iter_mut().zip(flags) {
            session
                .open(functions, *flags)
                .map_err(|cause| Error::NoUnit { cause: Box::new(cause) })?;
        }
        self.kernels.load(functions)
    }

    /// The wanted parts of the pictures, in their order; `None` for one that the unit has left out without
    /// saying so.
    ///
    /// # Errors
    ///
    /// Where one of them is of a kind that the unit cannot take, or of another size than its job says, or all
    /// do not fit into memory. It is **no** error where one is cut off or broken.
    pub fn decode(&mut self, jobs: &[Job<'_>]) -> Result<Vec<Option<Picture<'_>>>, Error> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        if !jobs.iter().all(Job::is_sound) {
            return Err(Error::Unsound);
        }
        let sessions = jobs.iter().map(|job| self.session(job)).collect::<Result<Vec<_>, _>>()?;
        let layout = Layout::of(jobs, self.capacity)?;
        let told = layout.told(jobs);
        if told.len() > TOLD_BYTES {
            return Err(Error::TooLarge { needed: told.len(), capacity: TOLD_BYTES });
        }
        let mut batches = [0, 1].map(|session| self.batch((session, &sessions), jobs, &layout));
        self.clear_if_needed()?;
        self.is_clear = false;
        let submitted = self.submit(&mut batches, (&layout, &told), jobs.len());
        let cleared = self.clear();
        let waited = self.wait();
        drop((batches, told)); // until here they may have been read from
        self.is_clear = cleared.and(waited.clone()).is_ok();
        submitted.and(waited)?;
        Ok(self.results(jobs, &layout))
    }

    /// **The unit does not wait for what the stream has to do before**, so that clearing is over before it
    /// is given anything: as a rule since the batch before.
    fn clear_if_needed(&mut self) -> Result<(), Error> {
        if self.is_clear {
            return Ok(());
        }
        self.clear()?;
        self.wait()?;
        self.is_clear = true;
        Ok(())
    }

    /// All that the GPU does with a batch.
    fn submit(
        &mut self,
        batches: &mut [Batch; 2],
        (layout, told): (&Layout, &[u8]),
        pictures: usize,
    ) -> Result<(), Error> {
        let (to, from) = (self.told, told.as_ptr());
        // SAFETY: there is room for so many bytes, which the caller keeps until the stream is waited for.
        unsafe { self.copy(to, from.cast_mut().cast(), told.len(), TO_DEVICE)? };
        for (session, batch) in batches.iter_mut().enumerate() {
            self.submit_to_unit(session, batch)?;
        }
        let pictures = c_uint::try_from(pictures).unwrap_or(c_uint::MAX);
        let work = Work { block: self.on_device, told: self.told, pictures, stream: self.stream };
        // SAFETY: the jobs are sound and what is told is of them; nothing else uses the memory until the
        // stream has been waited for.
        unsafe { self.kernels.resize(self.functions, &work, UNWRITTEN)? };
        let results = &layout.results;
        let from = self.on_device.cast::<u8>().wrapping_add(results.start).cast();
        // SAFETY: both blocks have as many bytes as `capacity` says, and no layout has more.
        unsafe { self.copy(self.in_memory.cast(), from, results.len(), TO_HOST) }
    }

    /// # Safety
    ///
    /// Both must have so many bytes until the stream has been waited for.
    unsafe fn copy(
        &self,
        to: Opaque,
        from: Opaque,
        bytes: usize,
        kind: c_int,
    ) -> Result<(), Error> {
        // SAFETY: as the caller promises.
        let status = unsafe { (self.functions.memcpy_async)(to, from, bytes, kind, self.stream) };
        done("cudaMemcpyAsync", status)
    }

    /// Makes the device's block unwritten, behind what the stream has to do.
    fn clear(&mut self) -> Result<(), Error> {
        let (value, bytes) = (UNWRITTEN.into(), self.capacity.on_device);
        // SAFETY: the block has so many bytes.
        let status =
            unsafe { (self.functions.memset_async)(self.on_device, value, bytes, self.stream) };
        done("cudaMemsetAsync", status)
    }

    fn wait(&mut self) -> Result<(), Error> {
        // SAFETY: the stream is this decoder's.
        let status = unsafe { (self.functions.stream_synchronize)(self.stream) };
        done("cudaStreamSynchronize", status)
    }

    /// What lies in memory after a batch.
    fn results(&self, jobs: &[Job<'_>], layout: &Layout) -> Vec<Option<Picture<'_>>> {
        let begin = layout.results.start;
        // SAFETY: the block has as many initialized bytes as `capacity` says, no layout has more, and
        // nothing writes to it while `self` is borrowed: what was submitted has been waited for.
        let results = unsafe { slice::from_raw_parts(self.in_memory, layout.results.len()) };
        let (pictures, written) = results.split_at(layout.written - begin);
        let (written, _) = written.as_chunks();
        let picture = |((job, place), written): ((&Job<'_>, &layout::Place), &[u8; 4])| {
            let [height, width] = job.result_size();
            let bytes = height as usize * width as usize * 3;
            let rgb = &pictures[place.resized - begin..][..bytes];
            (u32::from_ne_bytes(*written) == 1).then_some(Picture { height, width, rgb })
        };
        jobs.iter().zip(&layout.places).zip(written).map(picture).collect()
    }

    /// Which session is for the job's file.
    fn session(&self, job: &Job<'_>) -> Result<usize, Error> {
        let (mut components, mut subsampling) = (0, 0);
        let (mut widths, mut heights) = ([0; Image::CHANNELS], [0; Image::CHANNELS]);
        // SAFETY: the file is as long as is said, and nvJPEG writes no more than its four channels.
        let status = unsafe {
            (self.functions.image_info)(
                self.sessions[0].handle,
                job.file.as_ptr(),
                job.file.len(),
                &raw mut components,
                &raw mut subsampling,
                widths.as_mut_ptr(),
                heights.as_mut_ptr(),
            )
        };
        done("nvjpegGetImageInfo", status)?;
        if [heights[0], widths[0]].map(|side| u32::try_from(side).ok()) != job.size.map(Some) {
            return Err(Error::OtherSize);
        }
        let interpolates =
            self.colors == Colors::Interpolated && !WHOLE_COLOR.contains(&subsampling);
        Ok(usize::from(interpolates))
    }

    /// What goes through that session.
    fn batch(
        &self,
        (session, sessions): (usize, &[usize]),
        jobs: &[Job<'_>],
        layout: &Layout,
    ) -> Batch {
        let mut batch = Batch::default();
        let all = jobs.iter().zip(&layout.places).zip(sessions);
        for ((job, place), _) in all.filter(|(_, of_job)| **of_job == session) {
            batch.data.push(job.file.as_ptr());
            batch.lengths.push(job.file.len());
            let mut image = Image {
                channels: [ptr::null_mut(); Image::CHANNELS],
                pitches: [0; Image::CHANNELS],
            };
            image.channels[0] = self.on_device.cast::<u8>().wrapping_add(place.decoded);
            image.pitches[0] = job.size[1] as usize * 3;
            batch.images.push(image);
        }
        batch
    }

    fn submit_to_unit(&mut self, session: usize, batch: &mut Batch) -> Result<(), Error> {
        if batch.images.is_empty() {
            return Ok(());
        }
        let session = &mut self.sessions[session];
        session.prepare(self.functions, batch.images.len())?;
        // SAFETY: the three lists have as many items as the state is made for, and live, as do the
        // files, until the stream has been waited for; the device's block has room for each picture.
        let status = unsafe {
            (self.functions.decode_batch)(
                session.handle,
                session.state,
                batch.data.as_ptr(),
                batch.lengths.as_ptr(),
                batch.images.as_mut_ptr(),
                self.stream,
            )
        };
        if status != 0 {
            session.batch = 0; // a state that has failed is initialized anew
        }
        done("nvjpegDecodeBatched", status)
    }
}

impl Session {
    fn open(&mut self, functions: &Functions, flags: c_uint) -> Result<(), Error> {
        let (handle, state) = (&raw mut self.handle, &raw mut self.state);
        let no_allocator = ptr::null_mut();
        // SAFETY: null asks for nvJPEG's own allocators; the pointers lead to fields of this session.
        unsafe {
            let created =
                (functions.create_ex)(HARDWARE, no_allocator, no_allocator, flags, handle);
            done("nvjpegCreateEx", created)?;
            done("nvjpegJpegStateCreate", (functions.state_create)(self.handle, state))
        }
    }

    /// Makes the state one for batches of that size.
    fn prepare(&mut self, functions: &Functions, batch: usize) -> Result<(), Error> {
        if self.batch == batch {
            return Ok(());
        }
        let size = c_int::try_from(batch).unwrap_or(c_int::MAX);
        let threads = 1;
        // SAFETY: the handle and the state are of each other.
        let status = unsafe {
            (functions.batch_initialize)(self.handle, self.state, size, threads, RGB_INTERLEAVED)
        };
        self.batch = if status == 0 { batch } else { 0 };
        done("nvjpegDecodeBatchedInitialize", status)
    }
}

impl Drop for Decoder {
    /// What does not go is the driver's; nothing could be done about it here.
    fn drop(&mut self) {
        let functions = self.functions;
        let release = |free: unsafe extern "C" fn(Opaque) -> c_int, thing: Opaque| {
            if !thing.is_null() {
                // SAFETY: it was made by this decoder, is released once, and what uses it goes first.
                unsafe { free(thing) };
            }
        };
        release(functions.stream_synchronize, self.stream);
        for session in &self.sessions {
            release(functions.state_destroy, session.state);
            release(functions.destroy, session.handle);
        }
        self.kernels.unload(functions);
        release(functions.free, self.told);
        release(functions.free, self.on_device);
        release(functions.free_host, self.in_memory.cast());
        release(functions.stream_destroy, self.stream);
    }
}
