using System.Collections.Concurrent;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Shouldly;

namespace Qkd.Drivers.Tests.IdQuantique;

/// <summary>Answers and streams that an emulated instrument does not give.</summary>
public sealed class Id900ScriptTests : IAsyncLifetime
{
    private readonly ScriptedTimeController _script = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _script.DisposeAsync();

    [Fact]
    public async Task Sub_acquisitions_are_cut_by_the_service_s_counts_when_the_index_does_not_show_them()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((10, 1), (20, 2), (30, 3), (40, 4));
        foreach (var (acquisitions, timestamps, count) in new[] { (1, 1, 1), (2, 1, 0), (3, 3, 2), (4, 4, 1) })
        {
            _script.Count(acquisitions, timestamps);
            using var batch = await stream.NextAsync();
            batch.Acquisition.ShouldBe(acquisitions - 1);
            batch.Count.ShouldBe(count);
        }
    }

    [Fact]
    public async Task Sub_acquisitions_counted_together_are_told_apart_by_the_index()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((10, 1), (20, 5), (30, 2));
        _script.Send((40, 3), (50, 1), (60, 1));
        _script.Count(3, 6);
        foreach (var times in new long[][] { [10, 20], [30, 40], [50, 60] })
        {
            using var batch = await stream.NextAsync();
            batch.Runs.ShouldHaveSingleItem().TimesPicoseconds.ToArray().ShouldBe(times);
        }
    }

    [Fact]
    public async Task Silent_ones_among_them_are_told_by_their_empty_messages()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send();
        _script.Send((10, 1), (20, 5));
        _script.Send();
        _script.Send();
        _script.Count(4, 2);
        foreach (var count in new[] { 0, 2, 0, 0 })
        {
            using var batch = await stream.NextAsync();
            batch.Count.ShouldBe(count);
        }

        // Empty messages that come before or after their count are not taken for those of others.
        _script.Count(5, 2);
        (await stream.NextAsync()).Dispose();
        _script.Send();
        _script.Send();
        _script.Count(6, 2);
        (await stream.NextAsync()).Dispose();
        _script.Send((30, 1));
        _script.Send();
        _script.Count(8, 3);
        foreach (var count in new[] { 1, 0 })
        {
            using var batch = await stream.NextAsync();
            batch.Count.ShouldBe(count);
        }
    }

    [Fact]
    public async Task Where_they_cannot_be_told_apart_the_stream_ends_rather_than_guess()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((10, 1), (20, 5));
        _script.Send((30, 7));
        _script.Count(2, 2);
        var error = await Should.ThrowAsync<DeviceProtocolException>(async () => await stream.Waiting.WithinLimit());
        error.Message.ShouldContain("cannot be told apart");
    }

    [Fact]
    public async Task Tags_before_the_first_edge_are_left_out_and_counted()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((1_000, 0), (2_000, 0), (10, 1), (20, 1));
        _script.Count(1, 4);
        using var batch = await stream.NextAsync();
        var run = batch.Runs.ShouldHaveSingleItem();
        run.TimesPicoseconds.ToArray().ShouldBe([10, 20]);
        run.ReferenceIndexes.ToArray().ShouldBe([1, 1]);
        batch.LossesBefore.ShouldBe([new(TagLossCause.Unplaceable, null, 2)]);
    }

    [Fact]
    public async Task An_index_that_starts_anew_within_a_sub_acquisition_ends_the_stream()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((10, 4), (20, 3));
        _script.Count(1, 2);
        await Should.ThrowAsync<DeviceProtocolException>(async () => await stream.Waiting.WithinLimit());
    }

    [Fact]
    public async Task A_number_that_no_time_can_be_ends_the_stream()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((-1, 3));
        _script.Count(1, 1);
        await Should.ThrowAsync<DeviceProtocolException>(async () => await stream.Waiting.WithinLimit());
    }

    /// <summary>A sub-acquisition of the script is 200 ms long: 2e11 ps, and no more than 2e8 edges.</summary>
    [Theory]
    [InlineData(200_000_000_001, 3, "200000000001")]
    [InlineData(long.MaxValue, 1, "9223372036854775807")]
    [InlineData(10, 200_000_002, "200000002")]
    [InlineData(10, long.MaxValue, "9223372036854775807")]
    public async Task A_record_that_no_sub_acquisition_can_hold_ends_the_stream_and_is_told(long time, long index, string said)
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((10, 1), (time, index));
        _script.Count(1, 2);
        var error = await Should.ThrowAsync<DeviceProtocolException>(async () => await stream.Waiting.WithinLimit());
        error.Device.ShouldBe(ScriptedTimeController.Name);
        error.Address.ShouldStartWith("TCPIP0::127.0.0.1::");
        error.Message.ShouldContain("channel 1");
        error.Message.ShouldContain(said);
    }

    [Fact]
    public async Task The_last_record_that_a_sub_acquisition_can_hold_is_taken()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((200_000_000_000, 1), (10, 200_000_001));
        _script.Count(1, 2);
        using var batch = await stream.NextAsync();
        batch.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Before_the_first_edge_a_time_means_nothing_and_may_be_anything()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((long.MaxValue, 0), (10, 1));
        _script.Count(1, 2);
        using var batch = await stream.NextAsync();
        batch.Runs.ShouldHaveSingleItem().TimesPicoseconds.ToArray().ShouldBe([10]);
    }

    [Fact]
    public async Task Timestamps_that_were_counted_and_do_not_come_end_the_stream_by_a_time_out()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Send((10, 1));
        _script.Count(1, 2);
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await stream.Waiting.WithinLimit());
        error.Device.ShouldBe(ScriptedTimeController.Name);
        error.Message.ShouldContain("channel 1");
    }

    [Fact]
    public async Task A_service_that_counts_backwards_ends_the_stream()
    {
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        _script.Count(3, 0);
        (await stream.NextAsync()).Dispose();
        _script.Count(1, 0);
        await Should.ThrowAsync<DeviceProtocolException>(async () =>
        {
            while (true)
            {
                (await stream.NextAsync()).Dispose();
            }
        });
    }

    [Fact]
    public async Task A_channel_that_is_not_counted_any_more_ends_the_stream()
    {
        _script.ServiceAnswers = asked => asked == "status --id 8" ? """{"acquisitions_count":1,"timestamps_count":0}""" : null;
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync(), 1, 2);
        _script.Count(6, 0);
        (await stream.NextAsync()).Dispose();
        var error = await Should.ThrowAsync<DeviceException>(async () => await stream.Waiting.WithinLimit());
        error.Message.ShouldContain("1 on channel 2");
    }

    [Fact]
    public async Task A_stream_that_hangs_up_ends_it_and_is_told_while_the_instrument_stays_usable()
    {
        var tagger = await _script.OpenAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = tagger.Events.Subscribe(events.Enqueue);
        await using var stream = ScriptedTimeController.Read(tagger);
        _script.Count(1, 0);
        (await stream.NextAsync()).Dispose();
        _script.HangUpStream();
        _script.Count(2, 1);
        var error = await Should.ThrowAsync<DeviceException>(async () => await stream.Waiting.WithinLimit());
        error.Device.ShouldBe(ScriptedTimeController.Name);
        error.Message.ShouldContain("closed");
        events.ShouldContain(happened => happened.Kind == DeviceEventKind.Fault);
        (await tagger.Parameters.Single(parameter => parameter.Name == "bin_width").GetAsync(TestLimits.Token)).Value.ShouldBe(1.0);
    }

    [Theory]
    [InlineData("REC:PLAY", "-221,\"Settings conflict\"", "Settings conflict")]
    [InlineData("REC:STAGe?", "STOPPED", "does not play")]
    [InlineData("REC:STAGe?;:RAW1:ERRORS?", "PLAYING\nmany", "many")]
    [InlineData("REC:STAGe?;:RAW1:ERRORS?", "PLAYING", "PLAYING")]
    [InlineData("REC:STAGe?;:RAW1:ERRORS?", "STOPPED\n0", "does not play")]
    public async Task What_the_instrument_will_not_do_ends_the_stream(string command, string answer, string said)
    {
        _script.ControlAnswers = asked => asked == command ? answer : null;
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        var error = await Should.ThrowAsync<DeviceException>(async () => await stream.Waiting.WithinLimit());
        error.Address.ShouldBe(_script.Address.Text);
        error.Message.ShouldContain(said);
    }

    [Theory]
    [InlineData("start-stream", """{"error":{"description":"port in use"}}""", "port in use")]
    [InlineData("start-stream", """{"ok":true}""", "ok")]
    [InlineData("status", """{"acquisitions_count":-1,"timestamps_count":0}""", "-1")]
    [InlineData("status", """{"acquisitions_count":0,"timestamps_count":0,"error":"buffer lost"}""", "buffer lost")]
    [InlineData("status", """{"acquisitions_count":0,"timestamps_count":0,"errors":[{"description":"too fast"}]}""", "too fast")]
    [InlineData("status", "[1,2", "[1,2")]
    public async Task What_the_service_says_against_it_ends_the_stream(string command, string answer, string said)
    {
        _script.ServiceAnswers = asked => asked.StartsWith(command, StringComparison.Ordinal) ? answer : null;
        await using var stream = ScriptedTimeController.Read(await _script.OpenAsync());
        var error = await Should.ThrowAsync<DeviceException>(async () => await stream.Waiting.WithinLimit());
        error.Device.ShouldBe(ScriptedTimeController.Name);
        error.Message.ShouldContain(said);
    }

    [Fact]
    public async Task A_setting_that_the_instrument_does_not_keep_is_an_error()
    {
        _script.ControlAnswers = asked => asked == "INPU2:ENAB?;THRE?;EDGE?" ? "ON\n0.5V\nRISI" : null;
        var tagger = await _script.OpenAsync();
        await tagger.ConfigureInputAsync(new(2, 0.5, EdgeSlope.Rising), TestLimits.Token).WithinLimit();
        foreach (var input in new TaggerInput[] { new(2, 0.4, EdgeSlope.Rising), new(2, 0.5, EdgeSlope.Falling) })
        {
            var error = await Should.ThrowAsync<DeviceRefusedException>(
                async () => await tagger.ConfigureInputAsync(input, TestLimits.Token).WithinLimit());
            error.Message.ShouldContain("0.5V");
        }
    }

    [Theory]
    [InlineData("ID1000", "ID1000")]
    [InlineData("IDQ, ID900 Time Controller, 42", "ID900")]
    public async Task Takes_its_name_in_any_form(string answer, string model)
    {
        _script.ControlAnswers = asked => asked == "*IDN?" ? answer : null;
        (await _script.OpenAsync()).Identity.Model.ShouldBe(model);
    }

    [Fact]
    public async Task Another_serial_number_than_the_one_asked_for_is_the_wrong_instrument() =>
        await Should.ThrowAsync<WrongDeviceException>(async () => await _script.OpenAsync(("SerialNumber", "2")));

    [Theory]
    [InlineData("Endpoints:Stream", "ASRL3::INSTR")]
    [InlineData("StreamPort", "65535")]
    [InlineData("InstrumentAddress", "10.0.0.5 --channel 2")]
    public async Task An_option_that_cannot_be_is_refused_by_name(string key, string value)
    {
        var error = await Should.ThrowAsync<FormatException>(async () => await _script.OpenAsync((key, value)));
        error.Message.ShouldContain(key);
    }

    [Fact]
    public async Task Something_else_in_the_stream_service_s_place_is_an_error_that_names_its_address()
    {
        _script.ServiceAnswers = _ => "hello";
        var error = await Should.ThrowAsync<DeviceProtocolException>(async () => await _script.OpenAsync());
        error.Address.ShouldBe(_script.ServiceAddress.Text);
        error.Message.ShouldContain("hello");
    }
}
