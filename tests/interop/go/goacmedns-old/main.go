// SPDX-License-Identifier: GPL-3.0-or-later

// The library that lego up to 4.21, cert-manager up to 1.18, acme-dns-client 0.3 and older Traefiks are built on:
// registers (with an allow list too), stores the account, publishes values. Its requests have JSON keys in CamelCase.
// usage: goacmedns-old URL STORAGE VALUE...   prints the name of the delegate
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/cpu/goacmedns"
)

func main() {
	log.SetFlags(0)
	client := goacmedns.NewClient(os.Args[1])
	if _, err := client.RegisterAccount([]string{"127.0.0.0/8"}); err != nil {
		log.Fatal("with an allow list: ", err)
	}
	account, err := client.RegisterAccount(nil)
	if err != nil {
		log.Fatal(err)
	}
	storage := goacmedns.NewFileStorage(os.Args[2], 0600)
	if err := storage.Put("example.com", account); err != nil {
		log.Fatal(err)
	}
	if err := storage.Save(); err != nil {
		log.Fatal(err)
	}
	for _, value := range os.Args[3:] {
		if err := client.UpdateTXTRecord(account, value); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(account.FullDomain)
}
