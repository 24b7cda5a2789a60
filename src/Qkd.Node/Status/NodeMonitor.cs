using Microsoft.Extensions.Logging;
using Qkd.Devices;
using Qkd.Link;
using Qkd.Timing;

namespace Qkd.Node.Status;

/// <summary>Gathers what happens on one node into counters, rates and alarms. Thread-safe.</summary>
public sealed class NodeMonitor : ILinkMonitor
{
    private const int AlarmsKept = 1000;
    private const int BlocksWithoutKeyToAlarm = 5;
    private static readonly TimeSpan RateWindow = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AlarmQuietTime = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly AuditLog _audit;
    private readonly ILogger _logger;
    private readonly Queue<(DateTimeOffset Time, long Detections, long Sifted, long Secret)> _recent = new();
    private readonly List<Alarm> _alarms = [];
    private readonly Dictionary<(AlarmKind Kind, string Topic), DateTimeOffset> _lastAlarm = [];
    private readonly Dictionary<string, DeviceHealth> _devices = [];
    private NodeTotals _totals = new(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    private SessionState _state = SessionState.Disconnected;
    private string _stateDetail = "";
    private BlockReport? _lastBlock;
    private DateTimeOffset? _firstKey;
    private DateTimeOffset? _firstLight;
    private ITagReceiver? _receiver;
    private double _pilotErrors;
    private double _pilotMatched;
    private readonly int _frameSlots;
    private readonly MultiClickWatch _multiClicks = new();
    private int _blocksWithoutKey;

    /// <summary>Creates a monitor.</summary>
    public NodeMonitor(string node, int frameSlots, TimeProvider time, AuditLog audit, ILogger logger)
    {
        Node = node;
        _frameSlots = frameSlots;
        _time = time;
        _audit = audit;
        _logger = logger;
    }

    /// <summary>The node's name.</summary>
    public string Node { get; }

    /// <summary>Asks for the pool's figures when a picture is taken.</summary>
    public Func<PoolFigures> Pool { get; set; } = () => new("EMPTY", 0, 0, 0, 0, "");

    /// <summary>Raised after each block and alarm, on the thread that reported it.</summary>
    public event Action? Changed;

    /// <inheritdoc/>
    public void StateChanged(SessionState state, string detail)
    {
        lock (_gate)
        {
            _state = state;
            _stateDetail = detail;
        }

        Log.StateChanged(_logger, Node, state, detail);
        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public void ReceiverStarted(ITagReceiver receiver) => Volatile.Write(ref _receiver, receiver);

    /// <inheritdoc/>
    public void FrameReceived(DetectionFrame frame)
    {
        ArgumentNullException.ThrowIfNull(frame);
        var (errors, matched) = frame.Pilot.ErrorsAndMatched();
        lock (_gate)
        {
            var now = _time.GetUtcNow();
            _firstLight ??= now;
            _totals = _totals with { Pulses = _totals.Pulses + _frameSlots, Detections = _totals.Detections + frame.Slots.Length };
            _recent.Enqueue((now, frame.Slots.Length, 0, 0));

            // About a second's memory at a hundred frames a second.
            _pilotErrors += errors - (_pilotErrors / 100);
            _pilotMatched += matched - (_pilotMatched / 100);
            Trim(now);
        }
    }

    /// <inheritdoc/>
    public void BlockAccepted(BlockReport report)
    {
        string? rise;
        lock (_gate)
        {
            rise = _multiClicks.Rise(report, accepted: true);
            var now = _time.GetUtcNow();
            _firstKey ??= now;
            _firstLight ??= now;
            _blocksWithoutKey = 0;
            Count(report);
            _totals = _totals with { SecretBits = _totals.SecretBits + report.SecretBits, BlocksAccepted = _totals.BlocksAccepted + 1 };
            _recent.Enqueue((now, 0, report.SiftedBits, report.SecretBits));
            Trim(now);
        }

        _audit.WriteAccepted(report);
        AlarmRise(rise);
        Log.BlockAccepted(_logger, Node, report.BlockId, report.SecretBits, report.QberZ, report.QberX);
        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public void BlockDiscarded(BlockReport report, string reason)
    {
        var withoutKey = 0;
        string? rise;
        lock (_gate)
        {
            rise = _multiClicks.Rise(report, accepted: false);
            Count(report);
            _totals = _totals with { BlocksDiscarded = _totals.BlocksDiscarded + 1 };
            _recent.Enqueue((_time.GetUtcNow(), 0, report.SiftedBits, 0));

            // A block that was cut off says nothing; one that was measured and gave nothing does.
            if (report is { TestCounts.Count: > 0, CutOff: false })
            {
                withoutKey = ++_blocksWithoutKey;
            }
        }

        _audit.Write("block_discarded", new { report, reason });
        AlarmRise(rise);
        Log.BlockDiscarded(_logger, Node, report.BlockId, reason);
        if (withoutKey > 0 && withoutKey % BlocksWithoutKeyToAlarm == 0)
        {
            Alarm(AlarmKind.NoKey, $"{withoutKey} measured blocks in a row without key; the last: {reason}");
        }

        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public void Alarm(AlarmKind kind, string detail)
    {
        var alarm = new Alarm(kind, Node, _time.GetUtcNow(), detail);
        lock (_gate)
        {
            // The same trouble every frame is one alarm, not a hundred a second; another trouble of that kind is another alarm.
            var topic = (kind, TopicOf(detail));
            if (_lastAlarm.TryGetValue(topic, out var last) && alarm.Time - last < AlarmQuietTime)
            {
                return;
            }

            foreach (var (past, _) in _lastAlarm.Where(entry => alarm.Time - entry.Value >= AlarmQuietTime).ToList())
            {
                _lastAlarm.Remove(past);
            }

            _lastAlarm[topic] = alarm.Time;
            _alarms.Insert(0, alarm);
            if (_alarms.Count > AlarmsKept)
            {
                _alarms.RemoveAt(AlarmsKept);
            }
        }

        _audit.Write("alarm", new { kind = alarm.KindName, detail });
        Log.AlarmRaised(_logger, Node, alarm.KindName, detail);
        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public void EmissionStarted()
    {
        lock (_gate)
        {
            _firstLight ??= _time.GetUtcNow();
        }
    }

    /// <summary>A session is recorded from now on.</summary>
    public void RecordingBegan(string file)
    {
        _audit.Write("recording_began", new { file });
        Log.RecordingBegan(_logger, Node, file);
    }

    /// <summary>A recording could not be begun, or ended before its session: an alarm, and nothing more.</summary>
    public void RecordingBroke(string file, string reason)
    {
        _audit.Write("recording_broke", new { file, reason });
        Alarm(AlarmKind.Recording, $"the session goes on without a recording: {reason} ({file})");
    }

    /// <summary>Sets the health of an instrument.</summary>
    public void DeviceChanged(DeviceHealth health)
    {
        ArgumentNullException.ThrowIfNull(health);
        lock (_gate)
        {
            _devices[health.Name] = health;
        }

        Changed?.Invoke();
    }

    /// <summary>Takes an instrument's event; faults, overloads and lost connections are alarms.</summary>
    public void DeviceReported(DeviceEvent deviceEvent)
    {
        ArgumentNullException.ThrowIfNull(deviceEvent);
        lock (_gate)
        {
            if (_devices.TryGetValue(deviceEvent.Device, out var health))
            {
                _devices[deviceEvent.Device] = health with { Kind = deviceEvent.Kind, Detail = deviceEvent.Detail, Since = deviceEvent.Time };
            }
        }

        if (deviceEvent.Kind is DeviceEventKind.Fault or DeviceEventKind.Overload or DeviceEventKind.Disconnected or DeviceEventKind.Interlock)
        {
            Alarm(AlarmKind.Device, $"{deviceEvent.Device}: {deviceEvent.Detail}");
        }

        Changed?.Invoke();
    }

    /// <summary>A picture of now.</summary>
    public NodeStatus Snapshot()
    {
        var pool = Pool();
        var receiver = Volatile.Read(ref _receiver) is { } working ? ReceiverFigures.Of(working) : null;
        lock (_gate)
        {
            var now = _time.GetUtcNow();
            Trim(now);

            // Since the first light, not since the oldest record: n records stand for n intervals, not for n - 1.
            var span = Math.Clamp((now - (_firstLight ?? now)).TotalSeconds, 1, RateWindow.TotalSeconds);
            return new NodeStatus
            {
                Node = Node,
                State = _state,
                StateDetail = _stateDetail,
                Time = now,
                Totals = _totals,
                DetectionRateHertz = _recent.Sum(r => r.Detections) / span,
                SiftedRateBps = _recent.Sum(r => r.Sifted) / span,
                SecretRateBps = _recent.Sum(r => r.Secret) / span,
                PilotErrorRate = _pilotMatched == 0 ? double.NaN : _pilotErrors / _pilotMatched,
                Receiver = receiver,
                LastBlock = _lastBlock,
                FirstKeyAt = _firstKey,
                FirstLightAt = _firstLight,
                Alarms = [.. _alarms],
                Devices = [.. _devices.Values],
                Pool = pool,
            };
        }
    }

    private void AlarmRise(string? rise)
    {
        if (rise is not null)
        {
            Alarm(AlarmKind.MultiClick, rise);
        }
    }

    /// <summary>The words before the first figure: figures change from frame to frame, the trouble does not.</summary>
    private static string TopicOf(string detail)
    {
        var figure = detail.AsSpan().IndexOfAnyInRange('0', '9');
        return figure < 0 ? detail : detail[..figure];
    }

    private void Count(BlockReport report)
    {
        _lastBlock = report;
        _totals = _totals with
        {
            SiftedBits = _totals.SiftedBits + report.SiftedBits,
            TestBits = _totals.TestBits + report.TestCounts.Sum(),
            TestErrors = _totals.TestErrors + report.TestErrors.Sum(),
            KeyBits = _totals.KeyBits + (report.KeyErrors.Count > 0 ? report.KeyCounts.Sum() : 0),
            KeyErrors = _totals.KeyErrors + report.KeyErrors.Sum(),
        };
    }

    private void Trim(DateTimeOffset now)
    {
        while (_recent.Count > 0 && now - _recent.Peek().Time > RateWindow)
        {
            _recent.Dequeue();
        }
    }
}
