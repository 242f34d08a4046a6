// SPDX-License-Identifier: GPL-3.0-or-later

// cert-manager's own provider for acme-dns, without the Kubernetes around it: what its controller does with the host of
// an Issuer and the JSON text out of a Secret when it presents a challenge.
// usage: cert-manager HOST ACCOUNTS-FILE DOMAIN VALUE...
package main

import (
	"context"
	"log"
	"os"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/dns/acmedns"
)

func main() {
	log.SetFlags(0)
	accounts, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	provider, err := acmedns.NewDNSProviderHostBytes(os.Args[1], accounts, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range os.Args[4:] {
		if err := provider.Present(context.Background(), os.Args[3], "", value); err != nil {
			log.Fatal(err)
		}
	}
}
