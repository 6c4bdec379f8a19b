package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.etcd.io/etcd/clientv3"
)

// What a member says of itself.
type member struct {
	Endpoint string `json:"endpoint"`
	Leads    bool   `json:"leads"`
	Leader   uint64 `json:"leader"`
	Revision int64  `json:"revision"`
	Version  string `json:"version"`
}

func runStatus(work *job) (*result, error) {
	clients, err := connect(work.Endpoints, len(work.Endpoints))
	if err != nil {
		return nil, err
	}
	defer disconnect(clients)
	done := &result{}
	for i, client := range clients {
		bound, cancel := bounded()
		status, err := client.Status(bound, work.Endpoints[i])
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%s: %v", work.Endpoints[i], err)
		}
		done.Members = append(done.Members, member{
			Endpoint: work.Endpoints[i], Leads: status.Leader == status.Header.MemberId,
			Leader: status.Leader, Revision: status.Header.Revision, Version: status.Version,
		})
	}
	return done, nil
}

func runMaintenance(work *job) (*result, error) {
	clients, err := connect(work.Endpoints[:1], 1)
	if err != nil {
		return nil, err
	}
	defer disconnect(clients)
	client := clients[0]
	whole := context.Background() // The process is bounded.
	switch work.Action {
	case "snapshot":
		err = saveSnapshot(whole, client, work.File)
	case "compact":
		var status *clientv3.StatusResponse
		if status, err = client.Status(whole, work.Endpoints[0]); err == nil {
			_, err = client.Compact(whole, status.Header.Revision, clientv3.WithCompactPhysical())
		}
	case "defragment":
		_, err = client.Defragment(whole, work.Endpoints[0])
	default:
		err = fmt.Errorf("there is no action %q", work.Action)
	}
	return &result{}, err
}

func saveSnapshot(whole context.Context, client *clientv3.Client, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	defer file.Close()
	stream, err := client.Snapshot(whole)
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := io.Copy(file, stream); err != nil {
		return err
	}
	return file.Sync()
}
