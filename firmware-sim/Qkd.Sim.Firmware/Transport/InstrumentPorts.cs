using Microsoft.Extensions.Logging;

namespace Qkd.Sim.Firmware.Transport;

/// <summary>The ports of one instrument, and the faults that everything it sends passes through.</summary>
internal sealed class InstrumentPorts(string instrument, TimeProvider time, TimeSpan lateBy, ulong seed, ILogger logger) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly List<EmulatedPort> _ports = [];
    private readonly Queue<(EmulatedLine Line, byte[] Bytes, ITimer Timer)> _late = new();
    private readonly Random _nonsense = new(unchecked((int)seed));
    private InstrumentFault _fault;

    /// <summary>Begins to listen at a port.</summary>
    /// <exception cref="IOException">It cannot.</exception>
    public void Open(EmulatedPort port, ILineHandler handler)
    {
        port.Open(handler);
        _ports.Add(port);
    }

    /// <summary>Sends one answer or message, or what the present fault makes of it.</summary>
    public void Send(EmulatedLine line, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            switch (_fault)
            {
                case InstrumentFault.None:
                case InstrumentFault.RandomRecords:
                    line.Send(bytes);
                    break;
                case InstrumentFault.Garbage:
                    var nonsense = new byte[bytes.Length];
                    _nonsense.NextBytes(nonsense);
                    line.Send(nonsense);
                    break;
                case InstrumentFault.HalfAnswer:
                    line.Send(bytes[..(bytes.Length / 2)]);
                    break;
                case InstrumentFault.Late:
                    _late.Enqueue((line, bytes.ToArray(), time.CreateTimer(_ => SendOldestLate(), null, lateBy, Timeout.InfiniteTimeSpan)));
                    break;
                case InstrumentFault.Silent:
                case InstrumentFault.Disconnect:
                default:
                    break;
            }
        }
    }

    /// <summary>Sets the fault.</summary>
    public void Inject(InstrumentFault fault)
    {
        InstrumentFault before;
        lock (_gate)
        {
            before = _fault;
            _fault = fault;
        }

        if (before == fault)
        {
            return;
        }

        Log.FaultInjected(logger, instrument, fault);
        foreach (var port in _ports)
        {
            if (fault == InstrumentFault.Disconnect)
            {
                port.Unplug();
            }
            else if (before == InstrumentFault.Disconnect)
            {
                port.PlugIn();
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var port in _ports)
        {
            await port.DisposeAsync().ConfigureAwait(false);
        }

        _ports.Clear();
        lock (_gate)
        {
            while (_late.TryDequeue(out var waiting))
            {
                waiting.Timer.Dispose();
            }
        }
    }

    /// <summary>All are late by the same time, so they leave in the order in which they came.</summary>
    private void SendOldestLate()
    {
        lock (_gate)
        {
            if (_late.TryDequeue(out var waiting))
            {
                waiting.Timer.Dispose();
                waiting.Line.Send(waiting.Bytes);
            }
        }
    }
}
