package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// CreateBucket makes an empty bucket. It is durable when CreateBucket
// returns, but under SyncNone. Callers may test for ErrBucketExists, ErrName,
// ErrNoSpace and ErrClosed.
func (s *Store) CreateBucket(bucket string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.createBucket(bucket); err != nil {
		return fmt.Errorf("create bucket %q: %w", bucket, err)
	}
	return nil
}

func (s *Store) createBucket(bucket string) error {
	dir, err := s.bucketDir(bucket)
	if err != nil {
		return err
	}
	err = os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return ErrBucketExists
	}
	if err != nil {
		return s.explain(err)
	}
	return s.syncBuckets()
}

// DestroyBucket removes a bucket with all its objects. It vanishes at once;
// a Put that is under way fails with ErrBucketNotExist. Callers may test for
// ErrBucketNotExist, ErrName and ErrClosed.
func (s *Store) DestroyBucket(bucket string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.destroyBucket(bucket); err != nil {
		return fmt.Errorf("destroy bucket %q: %w", bucket, err)
	}
	return nil
}

func (s *Store) destroyBucket(bucket string) error {
	dir, err := s.bucketDir(bucket)
	if err != nil {
		return err
	}
	trash := filepath.Join(s.trashDir(), strconv.FormatUint(s.serial.Add(1), 16))
	err = os.Rename(dir, trash)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrBucketNotExist
	}
	if err != nil {
		return s.explain(err)
	}
	s.open.forgetAll() // whose files have names in the trash still
	if err := s.syncBuckets(); err != nil {
		return err
	}
	// The bucket is gone; its objects may take a while. The caller's own call
	// still counts, so Close waits for this one, too.
	s.calls.Go(func() {
		if err := os.RemoveAll(trash); err != nil { // Open tries again
			s.log.Warn("store: remove destroyed bucket", "path", trash, "err", err)
		}
	})
	return nil
}

// syncBuckets does not wait for the background: buckets come and go rarely,
// and nobody should put into one that a power failure takes back.
func (s *Store) syncBuckets() error {
	if s.sync == SyncNone {
		return nil
	}
	return s.fs.SyncDir(s.buckets)
}

// Buckets returns the names of all buckets, sorted.
func (s *Store) Buckets() ([]string, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	entries, err := os.ReadDir(s.buckets)
	if err != nil {
		return nil, fmt.Errorf("list buckets: %w", err)
	}
	names := []string{}
	for _, e := range entries {
		if name, ok := unescape(e.Name()); ok && e.IsDir() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
