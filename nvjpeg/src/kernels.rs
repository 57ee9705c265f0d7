//! The kernels of resize.cu, loaded onto the GPU.

use std::ffi::{CStr, c_uint};
use std::ptr;

use crate::error::{Error, done};
use crate::functions::{Functions, Opaque};

/// Made of resize.cu; the driver compiles it for its GPU.
const PTX: &str = concat!(include_str!("../kernels/resize.ptx"), "\0");

const THREADS: c_uint = 128;
/// Groups of threads for the pixels of a row, and for the rows of a picture: enough for the usual
/// picture, and fewer than there may be pixels, as the kernels go round.
const NARROW_GROUPS: [c_uint; 2] = [2, 128];
const SHORTEN_GROUPS: [c_uint; 2] = [5, 64];

/// Null until they are loaded.
pub(crate) struct Kernels {
    module: Opaque,
    narrow: Opaque,
    shorten: Opaque,
}

/// What one batch's kernels work on, in the GPU's memory.
pub(crate) struct Work {
    pub(crate) block: Opaque,
    pub(crate) told: Opaque,
    pub(crate) pictures: c_uint,
    pub(crate) stream: Opaque,
}

impl Kernels {
    pub(crate) const UNLOADED: Self =
        Self { module: ptr::null_mut(), narrow: ptr::null_mut(), shorten: ptr::null_mut() };

    /// Onto the GPU that this thread uses already.
    pub(crate) fn load(&mut self, functions: &Functions) -> Result<(), Error> {
        // SAFETY: the text ends with a zero, and the pointer leads to a field of its type.
        let status = unsafe { (functions.module_load)(&raw mut self.module, PTX.as_ptr().cast()) };
        done("cuModuleLoadData", status)?;
        self.narrow = self.function(functions, c"narrow")?;
        self.shorten = self.function(functions, c"shorten")?;
        Ok(())
    }

    fn function(&self, functions: &Functions, name: &CStr) -> Result<Opaque, Error> {
        let mut function = ptr::null_mut();
        // SAFETY: the module is loaded, the name ends with a zero, and the pointer leads to a local.
        let status =
            unsafe { (functions.module_function)(&raw mut function, self.module, name.as_ptr()) };
        done("cuModuleGetFunction", status).map(|()| function)
    }

    /// Submits both passes.
    ///
    /// # Safety
    ///
    /// The memory must be as `told` says, which must be what `Layout::told` gave for sound jobs, and stay so
    /// until the stream has been waited for.
    pub(crate) unsafe fn resize(
        &self,
        functions: &Functions,
        work: &Work,
        unwritten: u8,
    ) -> Result<(), Error> {
        let unwritten = c_uint::from(unwritten);
        for (kernel, [columns, rows]) in
            [(self.narrow, NARROW_GROUPS), (self.shorten, SHORTEN_GROUPS)]
        {
            // The second kernel does not look at the third.
            let mut arguments = [
                (&raw const work.block).cast_mut().cast(),
                (&raw const work.told).cast_mut().cast(),
                (&raw const unwritten).cast_mut().cast(),
            ];
            // SAFETY: the arguments are of the kernel's types and are copied by the call; the rest is
            // as the caller promises.
            let status = unsafe {
                (functions.launch)(
                    kernel,
                    columns,
                    rows,
                    work.pictures,
                    THREADS,
                    1,
                    1,
                    0,
                    work.stream,
                    arguments.as_mut_ptr(),
                    ptr::null_mut(),
                )
            };
            done("cuLaunchKernel", status)?;
        }
        Ok(())
    }

    pub(crate) fn unload(&self, functions: &Functions) {
        if !self.module.is_null() {
            // SAFETY: it was loaded by this thread, and nothing runs that uses it.
            unsafe { (functions.module_unload)(self.module) };
        }
    }
}
