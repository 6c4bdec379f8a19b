package main

import (
	"errors"
	"fmt"

	"go.etcd.io/etcd/clientv3"
)

func nothing() error { return nil }

// One operation for each client of the job, and what puts the cluster in order afterwards.
func operationsOf(work *job, clients []*clientv3.Client) ([]operation, func() error, error) {
	switch work.Kind {
	case "lease-grant":
		return grants(work, clients)
	case "keep-alive":
		return keepAlives(work, clients)
	}
	operations := make([]operation, work.Clients)
	for i := range operations {
		made, err := keyOperation(work, i, clients[i%len(clients)])
		if err != nil {
			return nil, nil, err
		}
		operations[i] = made
	}
	return operations, nothing, nil
}

func keyOperation(work *job, worker int, client *clientv3.Client) (operation, error) {
	random := randomOf(worker)
	switch work.Kind {
	case "fill":
		return func(turn int64) error {
			return put(client, keyOf(turn), valueOf(random, work.ValueBytes))
		}, nil
	case "put":
		return func(int64) error {
			return put(client, keyOf(random.Int63n(work.Keys)), valueOf(random, work.ValueBytes))
		}, nil
	case "get":
		return func(int64) error { return get(client, keyOf(random.Int63n(work.Keys))) }, nil
	case "serializable-get":
		return func(int64) error {
			return get(client, keyOf(random.Int63n(work.Keys)), clientv3.WithSerializable())
		}, nil
	case "range", "open-range":
		if work.PageKeys > work.Keys {
			return nil, fmt.Errorf("a page of %d keys out of %d", work.PageKeys, work.Keys)
		}
		return func(int64) error {
			return readPage(work, client, random.Int63n(work.Keys-work.PageKeys+1))
		}, nil
	case "cas":
		return compareAndSwap(work, worker, client)
	}
	return nil, errors.New("there is no such operation")
}

func put(client *clientv3.Client, key, value string) error {
	bound, cancel := bounded()
	defer cancel()
	_, err := client.Put(bound, key, value)
	return err
}

func get(client *clientv3.Client, key string, options ...clientv3.OpOption) error {
	bound, cancel := bounded()
	defer cancel()
	answer, err := client.Get(bound, key, options...)
	if err == nil && len(answer.Kvs) != 1 {
		err = fmt.Errorf("%d values of %s", len(answer.Kvs), key)
	}
	return err
}

// Reads one page that begins at the key of number `first`. An open range goes on to the last key, so
// that only the limit ends the page and the answer's count speaks of all that follow.
func readPage(work *job, client *clientv3.Client, first int64) error {
	end, matching := keyOf(first+work.PageKeys), work.PageKeys
	if work.Kind == "open-range" {
		end, matching = afterAllKeys, work.Keys-first
	}
	bound, cancel := bounded()
	defer cancel()
	answer, err := client.Get(bound, keyOf(first), clientv3.WithRange(end),
		clientv3.WithLimit(work.PageKeys))
	if err != nil {
		return err
	}
	if int64(len(answer.Kvs)) != work.PageKeys || answer.Count != matching {
		return fmt.Errorf("%d keys and a count of %d from %s on, not %d and %d", len(answer.Kvs),
			answer.Count, keyOf(first), work.PageKeys, matching)
	}
	return nil
}

// Every worker swaps a key of its own, so that each comparison holds.
func compareAndSwap(work *job, worker int, client *clientv3.Client) (operation, error) {
	random := randomOf(worker)
	key := fmt.Sprintf("cas/%012d", worker)
	bound, cancel := bounded()
	defer cancel()
	answer, err := client.Get(bound, key)
	if err != nil {
		return nil, err
	}
	var revision int64
	if len(answer.Kvs) > 0 {
		revision = answer.Kvs[0].ModRevision
	}
	return func(int64) error {
		bound, cancel := bounded()
		defer cancel()
		answer, err := client.Txn(bound).
			If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, valueOf(random, work.ValueBytes))).
			Else(clientv3.OpGet(key)).Commit()
		if err != nil {
			return err
		}
		if answer.Succeeded {
			revision = answer.Header.Revision
			return nil
		}
		// An earlier swap whose outcome was not known has been carried out.
		if found := answer.Responses[0].GetResponseRange().Kvs; len(found) > 0 {
			revision = found[0].ModRevision
		}
		return fmt.Errorf("%s was not as this worker had left it", key)
	}, nil
}
