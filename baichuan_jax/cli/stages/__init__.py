"""One file per stage: joins the library's pieces for one config. `build(config, workdir, directory) -> result`."""
