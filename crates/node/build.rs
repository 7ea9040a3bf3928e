//! Lets napi set what the linker needs.

fn main() {
    napi_build::setup();
}
