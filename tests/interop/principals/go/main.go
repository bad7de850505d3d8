// SPDX-License-Identifier: Apache-2.0

// Command principals reads one object by Oracle's SDK for Go, as the principal that its argument names, and writes it to
// standard output. The environment says the rest, as it does for any program of that SDK; STORE_… say where the object is.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/common/auth"
	"github.com/oracle/oci-go-sdk/v65/objectstorage"
)

func provider(principal string) (common.ConfigurationProvider, error) {
	config := os.Getenv("STORE_CONFIG_FILE")
	switch principal {
	case "instance":
		return auth.InstancePrincipalConfigurationProvider()
	case "resource":
		return auth.ResourcePrincipalConfigurationProvider()
	case "session":
		return common.CustomProfileSessionTokenConfigProvider(config, "SESSION"), nil
	default:
		return common.CustomProfileConfigProvider(config, principal), nil
	}
}

func read(principal string) error {
	given, err := provider(principal)
	if err != nil {
		return err
	}
	client, err := objectstorage.NewObjectStorageClientWithConfigurationProvider(given)
	if err != nil {
		return err
	}
	client.Host = os.Getenv("STORE_ENDPOINT")
	answer, err := client.GetObject(context.Background(), objectstorage.GetObjectRequest{
		NamespaceName: common.String(os.Getenv("STORE_NAMESPACE")),
		BucketName:    common.String(os.Getenv("STORE_BUCKET")),
		ObjectName:    common.String(os.Getenv("STORE_OBJECT")),
	})
	if err != nil {
		return err
	}
	defer answer.Content.Close()
	_, err = io.Copy(os.Stdout, answer.Content)
	return err
}

func main() {
	if err := read(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
