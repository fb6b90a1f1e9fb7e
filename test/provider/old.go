// A Terraform provider for the tests of Terraforms before 1.0, which do not speak the protocol of the
// other one: the resource of that, as far as these tests need it.
package main

import (
	"os"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/hashicorp/terraform-plugin-sdk/v2/plugin"
)

func text(required bool) *schema.Schema {
	return &schema.Schema{Type: schema.TypeString, Required: required, Optional: !required, ForceNew: true}
}

// Waits at the gate, whatever it is told meanwhile.
func create(data *schema.ResourceData, _ interface{}) error {
	if gate := data.Get("create_gate").(string); gate != "" {
		reached := strings.TrimSuffix(gate, ".gate") + ".reached"
		if err := os.WriteFile(reached, nil, 0o644); err != nil {
			return err
		}
		for {
			if _, err := os.Stat(gate); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	data.SetId(data.Get("name").(string))
	return nil
}

func nothing(*schema.ResourceData, interface{}) error { return nil }

func provider() *schema.Provider {
	return &schema.Provider{ResourcesMap: map[string]*schema.Resource{
		"slow_thing": {
			Schema: map[string]*schema.Schema{"name": text(true), "create_gate": text(false)},
			Create: create,
			Read:   nothing,
			Delete: nothing,
		},
	}}
}

func main() {
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: provider})
}
