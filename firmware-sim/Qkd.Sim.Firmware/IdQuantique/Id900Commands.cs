using System.Globalization;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The instrument's SCPI commands: the settings that are only stored, and those that act on the recorder. Every command answers one
/// line; a setting answers <c>Value set to</c> and its value, an action <c>Done</c>, an error its number and text.
/// </summary>
/// <remarks>
/// Headers and semantics after the IDQ Time Controller Series SCPI manual and the vendor's public Python examples. Not documented
/// there and chosen here: the texts of errors, everything that an ID900 shows directly after power-on (all inputs off, RAW off, the
/// record generator off), threshold limits of ±2 V, and <c>STOPPED</c> as the stage of a generator that does not play.
/// </remarks>
internal sealed class Id900Commands
{
    private const long LongestDelay = 1_000_000_000_000;
    private const long LongestRecord = 1_000_000_000_000_000_000;
    private const long ShortestSubAcquisition = 200_000_000_000;
    private const long ShortestGap = 40_000;
    private const decimal ThresholdLimitVolts = 2;

    private readonly Id900Settings _settings;
    private readonly TagRecorder _recorder;
    private readonly ScpiTree _tree = new();
    private readonly InputFront[] _fronts = [.. Enumerable.Range(0, 5).Select(_ => new InputFront())];
    private readonly DelayBlock[] _delays = [.. Enumerable.Range(0, 8).Select(_ => new DelayBlock())];
    private readonly Queue<string> _errors = new();
    private string _resolution = "HIRES";
    private string _triggerMode = "AUTO";
    private bool _recordEnabled;

    public Id900Commands(Id900Settings settings, TagRecorder recorder)
    {
        _settings = settings;
        _recorder = recorder;
        recorder.RateExceeded = input => _fronts[input].HighResolutionError = 1001;
        AddCommonCommands();
        AddInputs();
        AddDelays();
        AddRaw();
        AddRecord();
    }

    /// <summary>Runs a message and returns the answer: one line for each command.</summary>
    public string Execute(string message)
    {
        var lines = new List<string>();
        foreach (var command in ScpiBlock.Parse(message))
        {
            try
            {
                lines.Add(_tree.Execute(command));
            }
            catch (ScpiException exception)
            {
                var line = string.Create(CultureInfo.InvariantCulture, $"{exception.Code},\"{exception.Message}\"");
                lines.Add(line);
                _errors.Enqueue(line);
                if (_errors.Count > 10)
                {
                    _errors.Dequeue();
                }
            }
        }

        return lines.Count > 0 ? string.Join('\n', lines) : "-100,\"Command error; empty message\"";
    }

    private void AddCommonCommands()
    {
        _tree.Reading("*IDN", 0, _ => $"ID Quantique,ID900,{_settings.SerialNumber},{_settings.FirmwareVersion}");
        _tree.Reading("*OPC", 0, _ => "1");
        _tree.Action("*CLS", 0, (_, _) => _errors.Clear());
        _tree.Reading("SYSTem:ERRor", 0, _ => _errors.TryDequeue(out var error) ? error : "+0,\"No error\"");
        _tree.Setting(
            "DEVIce:RESolution",
            0,
            (_, text) => _resolution = ScpiValue.Choice(text, "HIRES", "LOWRES"),
            _ => _resolution);
        _tree.Reading("DEVIce:RESolution:BWIDth", 0, _ => "1");
        _tree.Action("DEVIce:SAMPling:RECAlibrate", 0, (_, _) => Array.ForEach(_fronts, front => front.HighResolutionError = 0));
    }

    private void AddInputs()
    {
        AddInput("STARt", 0);
        AddInput("INPUt#", 4);
    }

    private void AddInput(string name, int highest)
    {
        _tree.Setting(
            $"{name}:ENABle",
            highest,
            (input, text) => _recorder.Inputs[input].Enabled = ScpiValue.Switch(text),
            input => ScpiValue.Switch(_recorder.Inputs[input].Enabled));
        _tree.Setting(
            $"{name}:THREshold",
            highest,
            (input, text) => _fronts[input].ThresholdVolts = ScpiValue.Volts(text, ThresholdLimitVolts),
            input => ScpiValue.Volts(_fronts[input].ThresholdVolts));
        AddWord("EDGE", (front, word) => front.Edge = word, front => front.Edge, "RISIng", "FALLing");
        AddWord("COUPling", (front, word) => front.Coupling = word, front => front.Coupling, "DC", "AC");
        AddWord("SELEct", (front, word) => front.Select = word, front => front.Select, "UNSHaped", "SHAPed", "LOOP", "OUTPut");
        AddWord("MODE", (front, word) => front.Mode = word, front => front.Mode, "HIRES", "LOWRes");
        AddWord("RESYnchro", (front, word) => front.Resync = word, front => front.Resync, "AUTO", "ON", "OFF");
        _tree.Reading($"{name}:COUNter", highest, input => ScpiValue.Whole(_recorder.Counters[input].Reading));
        _tree.Setting(
            $"{name}:COUNter:MODE",
            highest,
            (input, text) => _recorder.Counters[input].Mode =
                ScpiValue.Choice(text, "CYCLe", "ACCUm") == "CYCL" ? CounterMode.Cycle : CounterMode.Accumulate,
            input => _recorder.Counters[input].Mode == CounterMode.Cycle ? "CYCL" : "ACCU");

        // The manual leaves the unit open; public drivers give milliseconds.
        _tree.Setting(
            $"{name}:COUNter:INTEgration",
            highest,
            (input, text) => _recorder.Counters[input].IntegrationMilliseconds = ScpiValue.Whole(text, 1, 1_000_000),
            input => ScpiValue.Whole(_recorder.Counters[input].IntegrationMilliseconds));
        _tree.Action($"{name}:COUNter:RESEt", highest, (input, _) => _recorder.Counters[input].Reset());
        _tree.Reading($"{name}:HIRES:ERRor", highest, input => ScpiValue.Whole(_fronts[input].HighResolutionError));
        _tree.Action($"{name}:HIRES:ERRor:CLEAr", highest, (input, _) => _fronts[input].HighResolutionError = 0);

        void AddWord(string node, Action<InputFront, string> set, Func<InputFront, string> get, params string[] words) => _tree.Setting(
            $"{name}:{node}",
            highest,
            (input, text) => set(_fronts[input], ScpiValue.Choice(text, words)),
            input => get(_fronts[input]));
    }

    private void AddDelays()
    {
        _tree.Setting(
            "DELAy#:VALUe",
            _delays.Length,
            (block, text) =>
            {
                _delays[block - 1].Picoseconds = ScpiValue.Picoseconds(text, 0, LongestDelay);
                ApplyDelays();
            },
            block => ScpiValue.Picoseconds(_delays[block - 1].Picoseconds));
        foreach (var header in (string[])["DELAy#:LINK", "DELAy#:INPOrt:LINK"])
        {
            _tree.Setting(
                header,
                _delays.Length,
                (block, text) =>
                {
                    _delays[block - 1].Input = ScpiValue.Input(text);
                    ApplyDelays();
                },
                block => ScpiValue.Input(_delays[block - 1].Input));
        }
    }

    private void ApplyDelays()
    {
        for (var input = 0; input < _recorder.Inputs.Count; input++)
        {
            _recorder.Inputs[input].Delay = _delays.Where(delay => delay.Input == input).Sum(delay => delay.Picoseconds);
        }
    }

    private void AddRaw()
    {
        _tree.Setting(
            "RAW#:REF:LINK",
            4,
            (raw, text) => Channel(raw).ReferenceInput = ScpiValue.Input(text),
            raw => ScpiValue.Input(Channel(raw).ReferenceInput));
        _tree.Setting(
            "RAW#:STOP:LINK",
            4,
            (raw, text) => Channel(raw).StopInput = ScpiValue.Input(text) ?? throw ScpiException.WrongArgument(text),
            raw => ScpiValue.Input(Channel(raw).StopInput));
        _tree.Setting(
            "RAW#:SEND",
            4,
            (raw, text) => Channel(raw).Send = ScpiValue.Switch(text),
            raw => ScpiValue.Switch(Channel(raw).Send));
        _tree.Reading("RAW#:ERRORS", 4, raw => ScpiValue.Whole(Channel(raw).Errors));
        _tree.Action("RAW#:ERRORS:CLEAr", 4, (raw, _) => Channel(raw).Errors = 0);

        RawChannel Channel(int raw) => _recorder.Channels[raw - 1];
    }

    private void AddRecord()
    {
        _tree.Setting(
            "RECord:TRIGger:ARM:MODE",
            0,
            (_, text) => _triggerMode = ScpiValue.Choice(text, "MANUal", "AUTO"),
            _ => _triggerMode);
        _tree.Setting("RECord:ENABle", 0, (_, text) => _recordEnabled = ScpiValue.Switch(text), _ => ScpiValue.Switch(_recordEnabled));
        _tree.Setting(
            "RECord:NUMber",
            0,
            (_, text) => SetWhileStopped(() =>
                _recorder.RecordCount = text.Equals("INF", StringComparison.OrdinalIgnoreCase) ? null : ScpiValue.Whole(text, 1, int.MaxValue)),
            _ => _recorder.RecordCount is { } count ? ScpiValue.Whole(count) : "INF");
        _tree.Setting(
            "RECord:PWIDth",
            0,
            (_, text) => SetWhileStopped(() => _recorder.Width = ScpiValue.Picoseconds(text, 1, LongestRecord)),
            _ => ScpiValue.Picoseconds(_recorder.Width));
        _tree.Setting(
            "RECord:PPERiod",
            0,
            (_, text) => SetWhileStopped(() => _recorder.Period = ScpiValue.Picoseconds(text, 1, LongestRecord)),
            _ => ScpiValue.Picoseconds(_recorder.Period));

        // A duration is a width whose period follows.
        _tree.Setting(
            "RECord:DURation",
            0,
            (_, text) => SetWhileStopped(() =>
            {
                _recorder.Width = ScpiValue.Picoseconds(text, 1, LongestRecord);
                _recorder.Period = Math.Max(_recorder.Period, _recorder.Width + ShortestGap);
            }),
            _ => ScpiValue.Picoseconds(_recorder.Width));
        _tree.Action("RECord:PLAY", 0, (_, _) => Play());
        _tree.Action("RECord:STOP", 0, (_, _) => _recorder.Stop());
        _tree.Reading("RECord:STAGe", 0, _ => _recorder.Playing ? "PLAYING" : "STOPPED");
    }

    private void SetWhileStopped(Action set)
    {
        if (_recorder.Playing)
        {
            throw ScpiException.Conflict("the record generator is playing");
        }

        set();
    }

    private void Play()
    {
        if (!_recordEnabled || _triggerMode != "MANU")
        {
            throw ScpiException.Conflict("the record generator is not enabled for manual trigger");
        }

        if (_recorder.RecordCount != 1)
        {
            if (_recorder.Width < ShortestSubAcquisition || _recorder.Period < ShortestSubAcquisition)
            {
                throw ScpiException.Conflict("sub-acquisitions last at least 0.2 s");
            }

            if (_recorder.Period - _recorder.Width < ShortestGap)
            {
                throw ScpiException.Conflict("sub-acquisitions are at least 40 ns apart");
            }
        }

        _recorder.Play();
    }

    private sealed class InputFront
    {
        public decimal ThresholdVolts { get; set; } = 1;

        public string Edge { get; set; } = "RISI";

        public string Coupling { get; set; } = "DC";

        public string Select { get; set; } = "UNSH";

        public string Mode { get; set; } = "HIRES";

        public string Resync { get; set; } = "AUTO";

        public int HighResolutionError { get; set; }
    }

    private sealed class DelayBlock
    {
        public long Picoseconds { get; set; }

        public int? Input { get; set; }
    }
}
