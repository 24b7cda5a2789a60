using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Qkd.Devices;

namespace Qkd.Link.Preparation;

/// <summary>
/// What Alice prepared, frame by frame, until it has been matched with Bob's detections: a ring of a fixed number of frames. While key
/// is being made a full ring holds emission back; before that the oldest frame gives way. Thread-safe.
/// </summary>
public sealed class PreparationRecord : IDisposable
{
    private readonly Lock _gate = new();
    private readonly ulong[][] _frames;
    private long _first;
    private long _next;
    private long _holdFrom = long.MaxValue;
    private TaskCompletionSource _room = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Creates an empty record.</summary>
    /// <param name="frameSlots">Slots a frame, a multiple of 64.</param>
    /// <param name="capacityFrames">Frames kept at most.</param>
    public PreparationRecord(int frameSlots, int capacityFrames)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacityFrames, 2);
        _frames = new ulong[capacityFrames][];
        for (var i = 0; i < capacityFrames; i++)
        {
            _frames[i] = new ulong[PackedSymbols.WordCount(frameSlots)];
        }
    }

    /// <summary>Number of the first frame still kept.</summary>
    public long FirstFrame
    {
        get
        {
            lock (_gate)
            {
                return _first;
            }
        }
    }

    /// <summary>Number of the frame that is made next.</summary>
    public long NextFrame
    {
        get
        {
            lock (_gate)
            {
                return _next;
            }
        }
    }

    /// <summary>Forgets everything; the next frame will be <paramref name="nextFrame"/>.</summary>
    public void Reset(long nextFrame)
    {
        lock (_gate)
        {
            Wipe();
            _first = _next = nextFrame;
            _holdFrom = long.MaxValue;
        }
    }

    /// <summary>Waits for room, lets <paramref name="fill"/> write the next frame's symbols, keeps them and returns them.</summary>
    /// <returns>The frame number and its symbols, which stay valid until the frame is released or, before key is made, overwritten.</returns>
    public async ValueTask<(long Frame, ReadOnlyMemory<ulong> Symbols)> AppendAsync(
        Action<long, Memory<ulong>> fill, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(fill);
        while (true)
        {
            Task room;
            lock (_gate)
            {
                if (_next - _first == _frames.Length && _first < _holdFrom)
                {
                    _first++;
                }

                if (_next - _first < _frames.Length)
                {
                    break;
                }

                room = _room.Task;
            }

            await room.WaitAsync(cancellationToken);
        }

        // Only one writer appends, so the slot after the last frame is his until _next moves.
        var symbols = _frames[_next % _frames.Length];
        fill(_next, symbols);
        lock (_gate)
        {
            return (_next++, symbols);
        }
    }

    /// <summary>Waits until a frame has been handed on, that is until the one after it is being made; or until the writer fails.</summary>
    public async ValueTask WaitForFrameAsync(long frame, Task writer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(writer);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        while (!HasBegun(frame + 2))
        {
            if (writer.IsCompleted)
            {
                await writer;
                throw new LinkException("Symbols are no longer made.");
            }

            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>From this frame on, or from the first that is still kept, nothing is overwritten before it is released.</summary>
    /// <returns>The first frame that is held.</returns>
    public long Hold(long fromFrame)
    {
        lock (_gate)
        {
            return _holdFrom = Math.Max(fromFrame, _first);
        }
    }

    /// <summary>Key is no longer being made: the oldest frame gives way again.</summary>
    public void ReleaseHold()
    {
        lock (_gate)
        {
            _holdFrom = long.MaxValue;
            SignalRoom();
        }
    }

    /// <summary>The symbols of a frame.</summary>
    /// <exception cref="LinkException">The frame is not kept (any more, or yet).</exception>
    public ReadOnlySpan<ulong> this[long frame] => Frame(frame).Span;

    /// <inheritdoc cref="this"/>
    public ReadOnlyMemory<ulong> Frame(long frame)
    {
        lock (_gate)
        {
            return frame >= _first && frame < _next
                ? _frames[frame % _frames.Length]
                : throw new LinkException($"The preparation of frame {frame} is not kept; {_first} to {_next - 1} are.");
        }
    }

    /// <summary>Forgets all frames before <paramref name="frame"/>.</summary>
    public void ReleaseBefore(long frame)
    {
        lock (_gate)
        {
            if (frame > _first)
            {
                _first = Math.Min(frame, _next);
                SignalRoom();
            }
        }
    }

    /// <summary>Zeroes all symbols.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            Wipe();
        }
    }

    private bool HasBegun(long frames)
    {
        lock (_gate)
        {
            return _next >= frames || _next - _first == _frames.Length;
        }
    }

    private void Wipe()
    {
        foreach (var frame in _frames)
        {
            CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(frame.AsSpan()));
        }
    }

    private void SignalRoom()
    {
        _room.TrySetResult();
        _room = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
