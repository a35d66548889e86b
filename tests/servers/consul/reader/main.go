// Reader is somebody who uses Consul's own client: it lists what is in a catalog, and watches services.
//
// `reader URL SERVICE…` writes a line of JSON for the catalog, and one whenever the instances of a service differ. The
// token is that of CONSUL_HTTP_TOKEN.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
	"sync"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

type instance struct {
	ID      string            `json:"id"`
	Node    string            `json:"node"`
	Address string            `json:"address"`
	Port    int               `json:"port"`
	Status  string            `json:"status"`
	Weight  int               `json:"weight"`
	Tags    []string          `json:"tags"`
	Meta    map[string]string `json:"meta"`
}

type told struct {
	Service   string     `json:"service"`
	Instances []instance `json:"instances"`
}

// out writes lines, one after the other.
type out struct {
	sync.Mutex
	encoder *json.Encoder
}

func (o *out) say(line any) {
	o.Lock()
	defer o.Unlock()
	if err := o.encoder.Encode(line); err != nil {
		log.Fatal(err)
	}
}

func instances(entries []*api.ServiceEntry) []instance {
	found := []instance{}
	for _, one := range entries {
		said := one.Service
		found = append(found, instance{
			said.ID, one.Node.Node, said.Address, said.Port, one.Checks.AggregatedStatus(), said.Weights.Passing,
			said.Tags, said.Meta,
		})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].ID < found[j].ID })
	return found
}

func follow(client *api.Client, service string, to *out) error {
	plan, err := watch.Parse(map[string]any{"type": "service", "service": service})
	if err != nil {
		return err
	}
	plan.Handler = func(_ uint64, said any) {
		to.say(told{service, instances(said.([]*api.ServiceEntry))})
	}
	return plan.RunWithClientAndHclog(client, nil)
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: reader URL SERVICE…")
	}
	client, err := api.NewClient(&api.Config{Address: os.Args[1]})
	if err != nil {
		log.Fatal(err)
	}
	catalog, _, err := client.Catalog().Services(nil)
	if err != nil {
		log.Fatal(err)
	}
	to := &out{encoder: json.NewEncoder(os.Stdout)}
	to.say(map[string]any{"catalog": catalog})
	failed := make(chan error)
	for _, service := range os.Args[2:] {
		go func() { failed <- fmt.Errorf("%s: %w", service, follow(client, service, to)) }()
	}
	log.Fatal(<-failed)
}
