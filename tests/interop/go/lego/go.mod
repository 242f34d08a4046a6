// Pins the current lego and, in go.sum, everything it is made of. No Go code of ours: tests/interop/newest builds
// lego's own main package, with lego's own tags for a light build (acme-dns and httpreq instead of 200 providers).
module acme-delegate/tests/interop/lego

go 1.26.0

require github.com/go-acme/lego/v5 v5.6.0

// A logging library. Module proxies that hold back very new versions do not have 1.7.1 yet.
replace gitlab.com/greyxor/slogor => gitlab.com/greyxor/slogor v1.7.0
