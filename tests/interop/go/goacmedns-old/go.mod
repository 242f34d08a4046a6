module acme-delegate/tests/interop/goacmedns-old

go 1.21

require github.com/cpu/goacmedns v0.1.1
