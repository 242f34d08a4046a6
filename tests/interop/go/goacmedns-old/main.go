// SPDX-License-Identifier: GPL-3.0-or-later

// The library that lego up to 4.21, cert-manager up to 1.18, acme-dns-client 0.3 and older Traefiks are built on. Its
// requests have JSON keys in CamelCase.
// usage: goacmedns-old register URL STORAGE DOMAIN          registers (with an allow list too) and stores the account
//        goacmedns-old update URL STORAGE DOMAIN VALUE...   publishes values with what is stored
// Prints the name of the delegate.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/cpu/goacmedns"
)

func register(client goacmedns.Client, storage goacmedns.Storage, domain string) error {
	if _, err := client.RegisterAccount([]string{"127.0.0.0/8"}); err != nil {
		return fmt.Errorf("with an allow list: %w", err)
	}
	account, err := client.RegisterAccount(nil)
	if err != nil {
		return err
	}
	if err := storage.Put(domain, account); err != nil {
		return err
	}
	return storage.Save()
}

func main() {
	log.SetFlags(0)
	client, domain := goacmedns.NewClient(os.Args[2]), os.Args[4]
	storage := goacmedns.NewFileStorage(os.Args[3], 0600)
	if os.Args[1] == "register" {
		if err := register(client, storage, domain); err != nil {
			log.Fatal(err)
		}
	}
	account, err := storage.Fetch(domain)
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range os.Args[5:] {
		if err := client.UpdateTXTRecord(account, value); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(account.FullDomain)
}
