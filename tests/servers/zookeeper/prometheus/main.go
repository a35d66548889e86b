// Scraper is somebody who finds what to scrape as Prometheus does, by its own discovery in a ZooKeeper.
//
// `scraper DIALECT SERVER PATH`, of the dialect nerve or serverset, writes a line of JSON whenever the targets differ:
// the labels of each.
package main

import (
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/discovery/zookeeper"
)

const session = model.Duration(10 * time.Second)

func config(dialect, server, path string) discovery.Config {
	if dialect == "serverset" {
		return &zookeeper.ServersetSDConfig{Servers: []string{server}, Paths: []string{path}, Timeout: session}
	}
	return &zookeeper.NerveSDConfig{Servers: []string{server}, Paths: []string{path}, Timeout: session}
}

func main() {
	made := config(os.Args[1], os.Args[2], os.Args[3])
	registry := prometheus.NewRegistry()
	metrics := made.NewDiscovererMetrics(registry, discovery.NewRefreshMetrics(registry))
	discoverer, err := made.NewDiscoverer(discovery.DiscovererOptions{Logger: slog.Default(), Metrics: metrics})
	if err != nil {
		log.Fatal(err)
	}
	updates := make(chan []*targetgroup.Group)
	go discoverer.Run(context.Background(), updates)
	groups := map[string][]model.LabelSet{}
	out := json.NewEncoder(os.Stdout)
	for update := range updates {
		for _, group := range update {
			groups[group.Source] = group.Targets
		}
		targets := []model.LabelSet{}
		for _, them := range groups {
			targets = append(targets, them...)
		}
		if err := out.Encode(targets); err != nil {
			log.Fatal(err)
		}
	}
}
